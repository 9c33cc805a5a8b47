"""Many models in one container, each loaded when it is asked for."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kneighbors.local.deployment import FleetFailed
from kneighbors.local.model_data import place_archive
from kneighbors.local.objects import split_s3
from kneighbors.local.removal import remove_tree
from kneighbors.local.runtime_faults import model_error, not_ready, refused
from kneighbors.local.served import Answer, AnswerTimedOut, AnswerTooLong, NoAnswer, Served

if TYPE_CHECKING:
    from kneighbors.local.instance import Message
    from kneighbors.local.plane import Plane

#: What a container answers that has no memory for one more model.
_FULL = 507


@dataclass(slots=True)
class _Model:
    """A model of the container; its name there says nothing of its name in S3."""

    name: str
    is_loaded: bool = False
    in_use: int = 0
    used_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class LoadedModels:
    """The models of one multi-model container.

    Parameters
    ----------
    plane : Plane
    endpoint : str
    served : Served
    fault : callable
        From the container, an error and a limit to what a client is told.

    Notes
    -----
    As on AWS, an object that is replaced in S3 is not loaded anew while its name is loaded.
    """

    def __init__(
        self,
        plane: Plane,
        endpoint: str,
        served: Served,
        fault: Callable[[Served, Exception, int], Exception],
    ) -> None:
        self._plane = plane
        self._endpoint = endpoint
        self._served = served
        self._fault = fault
        definition = served.definition
        self._is_kept = (
            definition.get("MultiModelConfig", {}).get("ModelCacheSetting") != "Disabled"
        )
        source = definition.get("ModelDataSource", {}).get("S3DataSource", {})
        self._prefix: str = definition.get("ModelDataUrl") or source.get("S3Uri", "")
        self._lock = threading.Lock()
        self._models: dict[str, _Model] = {}

    def send(self, message: Message, deadline: float, limit: int) -> Answer:
        """Have a model answer, loading it where it is not loaded.

        Raises
        ------
        Fault
        """
        target = message.target_model
        if target is None:
            raise refused(
                f"Endpoint {self._endpoint} is a multi-model endpoint: the request is missing a "
                "target model header."
            )
        with self._in_use(target) as model:
            answer = self._answer(model, target, message, deadline, limit)
            if answer.status in (404, _FULL):
                # The container let go of it, or has no room to run it.
                if answer.status == _FULL:
                    self._make_room(model)
                model.is_loaded = False
                answer = self._answer(model, target, message, deadline, limit)
        if not self._is_kept:
            self._unload(model)
        if not 200 <= answer.status < 300:
            raise self._model_error(answer)
        return answer

    def _answer(
        self, model: _Model, target: str, message: Message, deadline: float, limit: int
    ) -> Answer:
        self._load(model, target, deadline)
        path = f"/models/{model.name}/invoke"
        return self._ask(path, dict(message.headers), message.body, deadline, limit)

    @contextmanager
    def _in_use(self, target: str) -> Iterator[_Model]:
        with self._lock:
            model = self._models.get(target)
            if model is None:
                name = hashlib.sha256(target.encode()).hexdigest()[:32]
                model = self._models[target] = _Model(name)
            model.in_use += 1
        try:
            yield model
        finally:
            with self._lock:
                model.in_use -= 1
                model.used_at = time.monotonic()

    def _load(self, model: _Model, target: str, deadline: float) -> None:
        if model.is_loaded:
            return
        if not model.lock.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise not_ready(f"Model {target} is still being loaded.")
        try:
            if not model.is_loaded:
                self._place(model, target)
                self._register(model, target, deadline)
                model.is_loaded = True
        finally:
            model.lock.release()

    def _place(self, model: _Model, target: str) -> None:
        folder = self._folder(model)
        if folder.exists():
            return
        url = self._prefix.rstrip("/") + "/" + target.lstrip("/")
        if not self._plane.objects.exists(*split_s3(url)):
            self._forget(target)
            raise refused(
                "Failed to download model data. Please ensure that there is an object located at "
                f"the URL {url} and that the role passed to CreateModel has permissions to "
                "download the model."
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            place_archive(self._plane.objects, url, folder, target)
        except FleetFailed as error:
            remove_tree(folder.parent)
            self._forget(target)
            raise refused(error.reason) from error

    def _register(self, model: _Model, target: str, deadline: float) -> None:
        body = json.dumps({"model_name": model.name, "url": str(self._folder(model))}).encode()
        headers = {"Content-Type": "application/json"}
        while True:
            try:
                answer = self._ask("/models", headers, body, deadline, 1 << 20)
            except AnswerTimedOut as error:
                raise not_ready(f"Model {target} is still being loaded.") from error
            if answer.status in (200, 409):
                return
            if answer.status == _FULL and self._make_room(model):
                continue
            remove_tree(self._folder(model).parent)
            raise self._model_error(answer)

    def _make_room(self, wanting: _Model) -> bool:
        """Unload the model that was not used for longest; False where none can be."""
        with self._lock:
            idle = [
                model
                for model in self._models.values()
                if model.is_loaded and not model.in_use and model is not wanting
            ]
        if not idle:
            return False
        self._unload(min(idle, key=lambda model: model.used_at))
        return True

    def _unload(self, model: _Model) -> None:
        with model.lock:
            if model.in_use or not model.is_loaded:
                return
            model.is_loaded = False
            try:
                self._served.delete(f"/models/{model.name}", 60.0)
            except (NoAnswer, AnswerTimedOut, AnswerTooLong) as error:
                raise self._fault(self._served, error, 0) from error
            remove_tree(self._folder(model).parent)

    def _ask(
        self, path: str, headers: dict[str, str], body: bytes, deadline: float, limit: int
    ) -> Answer:
        try:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AnswerTimedOut
            return self._served.send(path, headers, body, left, limit)
        except (NoAnswer, AnswerTimedOut, AnswerTooLong) as error:
            raise self._fault(self._served, error, limit) from error

    def _model_error(self, answer: Answer) -> Exception:
        label = self._served.label
        return model_error(self._plane, self._endpoint, label, answer.status, answer.body)

    def _forget(self, target: str) -> None:
        """Drop what is known of a name under which nothing can be loaded."""
        with self._lock:
            self._models.pop(target, None)

    def _folder(self, model: _Model) -> Path:
        return self._served.home / "opt/ml/models" / model.name / "model"
