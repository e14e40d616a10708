"""Request scopes for dependency-injector: declared once, built once per request, closed in reverse.

class App(ScopedContainer):
    hub     = providers.ThreadSafeSingleton(Hub)                          # one per process
    context = Given(Context)                                              # handed in by whoever opens the scope
    bridge  = Scoped(Bridge, context=context, hub=hub, close="aclose")    # one per scope
    engine  = Scoped(Engine, context=context, bridge=bridge)

app = App()
app.check()
async with app.open_scope(context=Context("u-1")) as scope:
    engine = scope.get(app.engine)
"""
