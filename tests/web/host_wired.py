"""A host's routes that dependency-injector fills. No postponed annotations here: they hide the markers from @inject."""

from typing import Annotated, Any

from dependency_injector.wiring import Provide, Provider, inject
from fastapi import APIRouter, Depends

from ssot_engine import AgentRegistry, ExecutionContainer, ExecutionEngineFactory
from ssot_engine.ids import UnifiedIDManager

router = APIRouter()


@router.get("/running")
@inject
async def running(
    factory: Annotated[ExecutionEngineFactory, Depends(Provide[ExecutionContainer.engine_factory])],
) -> bool:
    """An object of the container."""
    return factory.is_running


@router.get("/names")
@inject
async def names(
    registry: Annotated[Any, Depends(Provider[ExecutionContainer.registry])],
) -> list[str]:
    """A provider of the container."""
    found: AgentRegistry = registry()
    return found.names()


@inject
def maker(ids: Annotated[UnifiedIDManager, Depends(Provide[ExecutionContainer.ids])]) -> str:
    """A dependency that depends on the container."""
    return type(ids).__name__


@router.get("/made")
async def made(by: Annotated[str, Depends(maker)]) -> str:
    """A route that does so through another."""
    return by
