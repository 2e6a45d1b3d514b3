"""Plugins as third parties write them, some of them badly."""

from importlib.metadata import EntryPoint
from typing import ClassVar

from pydantic import BaseModel, Field, SecretStr, field_validator

from monitor.plugins import Plugins


class VaultSettings(BaseModel):
    """Keeps secrets in every shape, lets unknown keys pass, and tells everything in its errors."""

    url: str = "http://127.0.0.1"
    token: SecretStr | None = None
    pin: SecretStr = Field(SecretStr(""), alias="PIN")
    keys: dict[str, SecretStr] = {}
    strict: bool = False

    @field_validator("strict")
    @classmethod
    def _tells_all(cls, strict, info):
        if strict:
            raise ValueError(f"not with {info.data['token'].get_secret_value()}")
        return strict

    @field_validator("keys")
    @classmethod
    def _tells_its_keys(cls, keys):
        for key in keys.values():
            if key.get_secret_value().startswith("bad"):
                raise ValueError(f"{key.get_secret_value()} is bad")
        return keys


class Vault:
    api: ClassVar[int] = 1
    Settings = VaultSettings


class Brittle:
    api: ClassVar[int] = 1

    class Settings(BaseModel):
        key: SecretStr

        @field_validator("key")
        @classmethod
        def _breaks(cls, key):
            raise KeyError(key.get_secret_value())


class Free:
    api: ClassVar[int] = 1

    class Settings(BaseModel, extra="allow"):
        pass


class FromTheFuture:
    api: ClassVar[int] = 2
    Settings = VaultSettings


class FromThePast:
    Settings = VaultSettings


class WithoutSettings:
    api: ClassVar[int] = 1


class Detect:
    api: ClassVar[int] = 1


not_a_class = "not a class"

_HERE = "tests.monitor.config.plugins"


def entry(group: str, name: str, value: str) -> EntryPoint:
    return EntryPoint(
        name=name, value=value if ":" in value else f"{_HERE}:{value}", group=f"plumbline.{group}"
    )


ENTRIES = (
    entry("clients", "vault", "Vault"),
    entry("clients", "free", "Free"),
    entry("clients", "brittle", "Brittle"),
    entry("clients", "future", "FromTheFuture"),
    entry("clients", "past", "FromThePast"),
    entry("clients", "bare", "WithoutSettings"),
    entry("clients", "text", "not_a_class"),
    entry("clients", "gone", "Gone"),
    entry("clients", "absent", "no_such_module_anywhere:Client"),
    entry("clients", "twin", "Vault"),
    entry("clients", "twin", "Free"),
    entry("clients", "echo", "Vault"),
    entry("clients", "echo", "Vault"),
    entry("scorers", "strict", "Vault"),
    entry("notifiers", "log", "Free"),
    entry("detectors", "detect", "Detect"),
)


def fake_plugins() -> Plugins:
    return Plugins(lambda group: [each for each in ENTRIES if each.group == group])
