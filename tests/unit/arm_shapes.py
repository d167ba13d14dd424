"""
What Azure's interfaces take, and what a resource has that they do not.

``tests/fixtures/arm/shapes.json`` holds the models of Microsoft's client libraries; ``extract.py`` beside it says how.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unit.arm_template import DEPLOYMENTS, WORKSPACE, Deployment

ROOT = Path(__file__).parents[2]
TEMPLATES = {path.stem: path for path in sorted((ROOT / "deploy" / "azure").glob("*.json"))}
SHAPES = ROOT / "tests" / "fixtures" / "arm" / "shapes.json"

OF_ARM = {
    "type",
    "apiVersion",
    "name",
    "dependsOn",
    "condition",
    "scope",
    "properties",
    "subscriptionId",
    "resourceGroup",
}
"""Members that belong to Azure Resource Manager and not to the resource."""

NOT_MODELLED = {"Microsoft.Web/sites/extensions"}
"""Types whose body no library describes: ``onedeploy`` is told in Microsoft's guide alone."""

LEAST = {
    "workspaceResourceId": WORKSPACE,
    "webhookToken": "a token that is at least long enough",
}
OF_MACHINE = {
    "packageUri": "https://example.com/onelogin-connector.tar.gz",
    "packageSha256": "0" * 64,
    "adminUsername": "ada",
    "sshPublicKey": "ssh-ed25519 " + "A" * 68,
}
MOST = {
    "oneLoginDomain": "acme.onelogin.com",
    "oneLoginClientId": "0f3c8a10",
    "oneLoginClientSecret": "a secret that must not be seen",
}


def deployment(template: str, **given: Any) -> Deployment:
    """
    Evaluate a committed template, with the least parameters it needs and those that are given.
    """
    document = json.loads(TEMPLATES[template].read_text())
    return Deployment(document, LEAST | (OF_MACHINE if template == "virtual-machine" else {}) | given)


def everything(name: str) -> Deployment:
    """
    Evaluate a committed template with every part of it wanted.
    """
    given: dict[str, Any] = {"packageUri": "https://example.com/package.zip"}
    if name == "virtual-machine":
        given |= {"sshSource": "203.0.113.7", "alertEmail": "oncall@example.com"}
    return deployment(name, **MOST, **given)


def used_models(kinds: list[str], model: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    """
    Return the models that the committed templates use: type → name → properties; "" names the first.
    """
    found: dict[str, Any] = {kind: {"": model(kind, "")} for kind in kinds}

    def fetch(kind: str, name: str) -> dict[str, Any]:
        found[kind].setdefault(name, model(kind, name))
        return dict(found[kind][name])

    for name in TEMPLATES:
        for resource in everything(name).all():
            if resource.kind in found:
                list(
                    _faults(
                        sent(resource.body), found[resource.kind][""], resource.kind, fetch, resource.kind
                    )
                )
    return found


def sent(body: dict[str, Any]) -> dict[str, Any]:
    """
    Return what goes to the resource's own interface.
    """
    return {key: value for key, value in body.items() if key not in OF_ARM or key == "properties"}


def faults(kind: str, body: dict[str, Any]) -> list[str]:
    """
    Return what a resource has that its interface does not take.
    """
    if kind == DEPLOYMENTS or kind in NOT_MODELLED:
        return []
    models = json.loads(SHAPES.read_text())["models"]
    if kind not in models:
        return [f"{kind} has no shape; run tests/fixtures/arm/extract.py"]
    return list(_faults(sent(body), models[kind][""], kind, lambda of, name: models[of].get(name, {}), kind))


def _faults(
    value: Any, shape: Any, kind: str, fetch: Callable[[str, str], dict[str, Any]], where: str
) -> Iterator[str]:
    if isinstance(shape, str):
        yield from _of_type(value, shape, kind, fetch, where)
        return
    if not isinstance(value, dict):
        yield f"{where} is no object: {value!r}"
        return
    for key, each in value.items():
        if key in shape:
            yield from _faults(each, shape[key], kind, fetch, f"{where}.{key}")
        else:
            yield f"{where} has no {key}; it has {sorted(shape)}"


def _of_type(
    value: Any, shape: str, kind: str, fetch: Callable[[str, str], dict[str, Any]], where: str
) -> Iterator[str]:
    simple = {"str": str, "bool": bool, "int": int, "float": (int, float)}
    if shape == "object":
        return
    if shape in simple:
        is_right = isinstance(value, simple[shape]) and not (shape == "int" and isinstance(value, bool))
        if not is_right:
            yield f"{where} should be {shape}: {value!r}"
    elif shape.startswith("enum:"):
        # the interfaces compare without case, and take sizes of machines that are younger than the library
        known = shape[5:].lower().split("|")
        if str(value).lower() not in known and not where.endswith(".vmSize"):
            yield f"{where} should be one of {shape[5:]}: {value!r}"
    elif shape[0] == "[":
        if not isinstance(value, list):
            yield f"{where} is no list: {value!r}"
            return
        for index, each in enumerate(value):
            yield from _faults(each, shape[1:-1], kind, fetch, f"{where}[{index}]")
    elif shape[0] == "{":
        for key, each in value.items():
            yield from _faults(each, shape[1:-1], kind, fetch, f"{where}.{key}")
    else:
        yield from _faults(value, fetch(kind, shape), kind, fetch, where)
