"""Keeps responses in the order of their requests (Triton's `preserve_ordering`)."""

from __future__ import annotations

from collections import OrderedDict

from tritonpy.backends.request import InferenceRequest, InferenceResponse

Released = tuple[InferenceRequest, InferenceResponse]


class ResponseOrder:
    """Holds responses back until every response of the requests before has left, across batches and instances.

    A request takes its place with `reserve`, when it leaves the queue to be run; a decoupled one keeps it until its
    final response. Requests without a place (refused, expired or cancelled in the queue) are answered at once.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[InferenceRequest, list[InferenceResponse]] = OrderedDict()

    def __len__(self) -> int:
        """Requests that have a place and still owe responses."""
        return len(self._held)

    def reserve(self, request: InferenceRequest) -> None:
        """Give `request` the last place."""
        self._held[request] = []

    def release(self, request: InferenceRequest, response: InferenceResponse) -> list[Released]:
        """Hand in a response; gives all responses that may leave now, in order."""
        held = self._held.get(request)
        if held is None:
            return [(request, response)]
        held.append(response)
        return self._leaving()

    def _leaving(self) -> list[Released]:
        leaving: list[Released] = []
        while self._held:
            request, held = next(iter(self._held.items()))
            leaving += [(request, response) for response in held]
            if not held or not held[-1].final:
                held.clear()
                break
            del self._held[request]
        return leaving
