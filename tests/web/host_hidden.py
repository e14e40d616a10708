"""A host's route as it must not be written: postponed annotations hide its marker from @inject."""

from __future__ import annotations

from typing import Annotated

from dependency_injector.wiring import Provide, inject
from fastapi import APIRouter, Depends

from ssot_engine import ExecutionContainer, ExecutionEngineFactory

router = APIRouter()


@router.get("/hidden")
@inject
async def hidden(
    factory: Annotated[ExecutionEngineFactory, Depends(Provide[ExecutionContainer.engine_factory])],
) -> bool:
    """Would be given the marker."""
    return factory.is_running
