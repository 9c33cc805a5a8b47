"""A user's script as a model: its functions, and ours for those that it does not define."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kneighbors.errors import BodyRefused, ScriptError
from kneighbors.formats import JSON, Limits, Request, decode
from kneighbors.formats.media import parse_accept, parse_content_type
from kneighbors.formats.text import decode_text
from kneighbors.sagemaker import handlers
from kneighbors.sagemaker.context import Context
from kneighbors.sagemaker.functions import Functions
from kneighbors.sagemaker.model import Model, accepts_anything
from kneighbors.sagemaker.query import Reply

#: Media types whose bodies a script gets as text.
_TEXT_TYPES = frozenset({JSON, "text/csv"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_FACTS = dict.fromkeys(("generation", "metric", "n_samples", "n_features"), "")
_OUR_PARTS = ("input_fn", "predict_fn", "output_fn", "transform_fn")


class ScriptModel:
    """A model as a user's script loads it, asked as the script says.

    A script need not be fit for several threads: one request is answered at a time, as in each
    process of AWS's servers.

    Parameters
    ----------
    functions : Functions
        What the script defines.
    model_dir : Path
    limits : Limits, optional
    default_n_neighbors : int, optional
        As in `Model.open`, where the model is ours.
    default_accept : str, default="application/json"
        Media type of the answer to a request that accepts anything.

    Raises
    ------
    ScriptError
        With code ``script-failed``, if ``pre_model_fn`` or ``model_fn`` raises; with code
        ``script-invalid``, if ours would have to search a model that is not ours.
    """

    def __init__(
        self,
        functions: Functions,
        model_dir: Path,
        *,
        limits: Limits | None = None,
        default_n_neighbors: int | None = None,
        default_accept: str = JSON,
    ) -> None:
        self._functions = functions
        self._model_dir = model_dir
        self._limits = limits or Limits()
        self._default_accept = default_accept
        self._lock = threading.Lock()
        context = Context(model_dir)
        if "pre_model_fn" in functions:
            functions["pre_model_fn"](str(model_dir), context=context)
        if "model_fn" in functions:
            self.model: Any = functions["model_fn"](str(model_dir), context=context)
        else:
            self.model = Model.open(
                model_dir, limits=limits, default_n_neighbors=default_n_neighbors
            )
        if not ({"predict_fn", "transform_fn"} & set(functions) or isinstance(self.model, Model)):
            raise handlers.not_searchable(self.model)
        self._is_ours_to_answer = isinstance(self.model, Model) and not any(
            name in functions for name in _OUR_PARTS
        )

    @property
    def facts(self) -> dict[str, str]:
        """What is served, as labels; empty ones where the model is not ours."""
        return self.model.facts if isinstance(self.model, Model) else dict(_NO_FACTS)

    @property
    def has_items(self) -> bool:
        """Whether the rows are known to have attributes."""
        return isinstance(self.model, Model) and self.model.has_items

    def warm_up(self, *, items: bool = True) -> None:
        """Call ``model_warmup_fn``; without one, warm up the model if it is ours."""
        if "model_warmup_fn" in self._functions:
            with self._lock:
                context = Context(self._model_dir)
                self._functions["model_warmup_fn"](
                    str(self._model_dir), self.model, context=context
                )
        elif isinstance(self.model, Model):
            self.model.warm_up(items=items)

    def execution_parameters(self) -> Mapping[str, Any] | None:
        """Return what ``execution_parameters_fn`` says; None without one.

        Raises
        ------
        ScriptError
            With code ``script-failed``, also if what it returns is no JSON object.
        """
        if "execution_parameters_fn" not in self._functions:
            return None
        with self._lock:
            given = self._functions["execution_parameters_fn"](context=Context(self._model_dir))
        try:
            given = given.get_data() if hasattr(given, "get_data") else given
            value = json.loads(given) if isinstance(given, str | bytes) else given
        except ValueError:
            value = None
        if not isinstance(value, Mapping):
            raise _unusable("execution_parameters_fn", "a dict, or JSON of one", given)
        return value

    def invoke(
        self,
        body: bytes,
        content_type: str | None = None,
        accept: str | None = None,
        custom_attributes: str | None = None,
    ) -> Reply:
        """Answer a request; parameters and errors as of `Model.invoke`.

        Raises
        ------
        ScriptError
            With code ``script-failed``, whatever the script raises, and where what it returns is
            no answer.
        """
        accept = self._default_accept if accept is None or accepts_anything(accept) else accept
        if self._is_ours_to_answer:
            reply: Reply = self.model.invoke(body, content_type, accept, custom_attributes)
            return reply
        if len(body) > self._limits.max_body_bytes:
            raise BodyRefused(
                "body-too-large",
                f"Expected a body of at most {self._limits.max_body_bytes} bytes, got {len(body)}.",
            )
        headers = {
            "Content-Type": content_type or JSON,
            "Accept": accept,
            "X-Amzn-SageMaker-Custom-Attributes": custom_attributes or "",
        }
        context = Context(self._model_dir, {name: text for name, text in headers.items() if text})
        with self._lock:
            if "transform_fn" in self._functions:
                data = _as_script_wants(body, content_type)
                result = self._functions["transform_fn"](
                    self.model, data, content_type or JSON, accept, context=context
                )
                return _reply("transform_fn", result, accept, context)
            data = self._input(body, content_type, custom_attributes, context)
            prediction = self._predict(data, context)
            return self._output(prediction, accept, context)

    def _input(
        self,
        body: bytes,
        content_type: str | None,
        custom_attributes: str | None,
        context: Context,
    ) -> Any:
        if "input_fn" in self._functions:
            data = _as_script_wants(body, content_type)
            return self._functions["input_fn"](data, content_type or JSON, context=context)
        return decode(body, content_type, custom_attributes, self._limits)

    def _predict(self, data: Any, context: Context) -> Any:
        if "predict_fn" not in self._functions:
            return handlers.predict_fn(data, self.model)
        if isinstance(data, Request) and "input_fn" not in self._functions:
            data = self._vectors(data)
        return self._functions["predict_fn"](data, self.model, context=context)

    def _vectors(self, request: Request) -> Any:
        """Return queries as the toolkits' own input_fn would: a vector, or a matrix of them."""
        if request.vectors is None:
            if not isinstance(self.model, Model):
                raise BodyRefused(
                    "body-type", "Expected vectors, got ids, which this model cannot look up."
                )
            vectors = self.model.query(request).vectors
        else:
            vectors = request.vectors
        return vectors[0] if request.single else vectors

    def _output(self, prediction: Any, accept: str, context: Context) -> Reply:
        if "output_fn" in self._functions:
            result = self._functions["output_fn"](prediction, accept, context=context)
            return _reply("output_fn", result, accept, context)
        if isinstance(prediction, handlers.Prediction):
            return prediction.write(accept)
        return _reply("output_fn", handlers.output_fn(prediction, accept), accept, context)


def _as_script_wants(body: bytes, content_type: str | None) -> str | bytes:
    if content_type is None or not content_type.strip():
        return decode_text(body)
    media = parse_content_type(content_type)
    return decode_text(body) if media.name in _TEXT_TYPES else body


def _reply(name: str, result: Any, accept: str, context: Context) -> Reply:
    """Return what a handler returned as an answer."""
    content_type, status, headers = (
        _first_of(accept),
        context.status,
        dict(context.response_headers),
    )
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], str):
        result, content_type = result
    elif hasattr(result, "get_data") and hasattr(result, "status_code"):  # a response of Flask's
        headers |= dict(getattr(result, "headers", {}))
        result, content_type, status = (
            result.get_data(),
            result.mimetype or content_type,
            result.status_code,
        )
    if isinstance(result, str):
        try:
            result = result.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            raise _unusable(name, "text that UTF-8 has, or bytes", result) from None
    if not isinstance(result, bytes | bytearray | memoryview):
        raise _unusable(name, "bytes, text, or a tuple of those and a content type", result)
    if not 200 <= status <= 599:
        raise ScriptError(
            "script-failed", f"Expected a status of {name} from 200 to 599, got {status}."
        )
    for key, text in {"Content-Type": content_type, **headers}.items():
        if _HEADER_NAME.fullmatch(key) is None or not (text.isascii() and text.isprintable()):
            raise ScriptError(
                "script-failed", f"Expected headers of {name} in visible ASCII, got {key!a:.100}."
            )
    kept = {key: text for key, text in headers.items() if not key.lower().startswith("content-")}
    said = next((t for key, t in headers.items() if key.lower() == "content-type"), None)
    return Reply(bytes(result), said or content_type, 0, status, tuple(kept.items()))


def _first_of(accept: str) -> str:
    """Return the media type that a client wants most; what it wrote, if that cannot be read."""
    try:
        ranges = [one for one in parse_accept(accept) if "*" not in one.name]
    except BodyRefused:
        if accept.isascii() and accept.isprintable():
            return accept
        raise
    return max(ranges, key=lambda one: one.weight).name if ranges else accept


def _unusable(name: str, expected: str, got: Any) -> ScriptError:
    return ScriptError(
        "script-failed", f"Expected {name} to return {expected}, got {type(got).__name__}."
    )
