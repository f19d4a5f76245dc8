"""What stands in for a model: each framework's own fake, all with the same simple mind.

It calls `refund` for the task it is given, answers a reviewer's question, and otherwise repeats
what its tool said. The ids of its calls are never the same again, as a real model's.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

Call = tuple[str, dict[str, str]]


def next_step(told: str, *, by_tool: bool) -> Call | str:
    """A call of a tool, or the last words; `told` is the task, or what the tool said."""
    if not by_tool:
        found = re.search(r"(ch_\d+).* ([\d.]+) EUR", told)
        assert found is not None, told
        return "refund", {"charge": found[1], "amount": found[2]}
    if "A reviewer asks" in told:
        found = re.search(r"Request ([0-9a-f-]{36})", told)
        assert found is not None, told
        return "answer_reviewer", {"request": found[1], "answer": "The customer sent a photo."}
    return told


def new_id() -> str:
    return f"call_{uuid.uuid4().hex}"


def for_langchain() -> Any:
    """LangChain's GenericFakeChatModel, which looks at what it is told."""
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class Model(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
            last = messages[-1]
            step = next_step(str(last.content), by_tool=last.type == "tool")
            calls = []
            if not isinstance(step, str):
                calls = [{"name": step[0], "args": step[1], "id": new_id()}]
            said = AIMessage(step if isinstance(step, str) else "", tool_calls=calls)
            return ChatResult(generations=[ChatGeneration(message=said)])

    return Model(messages=iter(()))


def for_openai() -> Any:
    """The Agents SDK's ScriptedModel."""
    from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

    def respond(call: Any) -> Any:
        last = call.input if isinstance(call.input, str) else call.input[-1]
        task = last if isinstance(last, str) else last.get("content")
        by_tool = not isinstance(last, str) and last.get("type") == "function_call_output"
        step = next_step(str(last["output"] if by_tool else task), by_tool=by_tool)
        if isinstance(step, str):
            return [assistant_message(step)]
        return [function_call(step[0], step[1], call_id=new_id())]

    return ScriptedModel([ModelStep(responder=respond)] * 20)


def for_pydantic_ai() -> Any:
    """Pydantic AI's FunctionModel."""
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    def respond(messages: Any, info: Any) -> ModelResponse:
        last = messages[-1].parts[-1]
        step = next_step(str(last.content), by_tool=isinstance(last, ToolReturnPart))
        if isinstance(step, str):
            return ModelResponse(parts=[TextPart(step)])
        return ModelResponse(parts=[ToolCallPart(step[0], step[1], tool_call_id=new_id())])

    return FunctionModel(respond)


def for_agent_framework() -> Any:
    """A chat client of Microsoft's Agent Framework, as its documentation makes one."""
    from agent_framework import (
        BaseChatClient,
        ChatResponse,
        Content,
        FunctionInvocationLayer,
        Message,
    )

    class Model(FunctionInvocationLayer, BaseChatClient):  # type: ignore[misc]
        def _inner_get_response(self, *, messages: Any, **kwargs: Any) -> Any:
            async def respond() -> ChatResponse:
                last = messages[-1].contents[-1]
                by_tool = last.type == "function_result"
                told = str(last.result if by_tool else last.text)
                step = next_step(told, by_tool=by_tool)
                if isinstance(step, str):
                    said = Content.from_text(step)
                else:
                    said = Content.from_function_call(
                        new_id(), step[0], arguments=json.dumps(step[1])
                    )
                return ChatResponse(messages=[Message(role="assistant", contents=[said])])

            return respond()

    return Model()


def for_google_adk() -> Any:
    """A model of ADK's own base class, as its tests make one."""
    from google.adk.models import BaseLlm, LlmResponse
    from google.genai import types

    class Model(BaseLlm):  # type: ignore[misc]
        async def generate_content_async(self, llm_request: Any, stream: bool = False) -> Any:
            last = llm_request.contents[-1].parts[-1]
            answer = last.function_response
            told = str(answer.response["said"] if answer else last.text)
            step = next_step(told, by_tool=answer is not None)
            if isinstance(step, str):
                part = types.Part(text=step)
            else:
                call = types.FunctionCall(id=new_id(), name=step[0], args=step[1])
                part = types.Part(function_call=call)
            yield LlmResponse(content=types.Content(role="model", parts=[part]))

    return Model(model="fake")
