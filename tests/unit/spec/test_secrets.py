"""The secrets file and the links made from it; a secret shows in nothing but the links."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.errors import SpecError
from stackctl.spec import Secrets, Stack, links, load_secrets, new_secret

GOOD = "0123456789abcdef0123456789abcdef"
API = "fedcba98" * 8


def write(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    file = tmp_path / "secrets.yaml"
    whole = "users" not in text or "api" in text
    file.write_text(text if whole else f"{text}\napi: {API}\n")
    file.chmod(mode)
    return file


def test_users_in_order_and_in_small_letters(tmp_path: Path) -> None:
    digits = "1" * 32
    file = write(tmp_path, f"users:\n  zoe: {GOOD.upper()}\n  bob: {digits}\n")
    secrets = load_secrets(file)
    assert list(secrets.users.items()) == [("zoe", GOOD), ("bob", digits)]
    assert secrets.warnings == ()


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    secrets = load_secrets(write(tmp_path, f"users: {{a: {GOOD}}}"))
    stack = Stack.model_validate({"name": "lab", "connections": 1})
    for shown in (repr(secrets), str(secrets), f"{secrets}", repr(links(stack, secrets))):
        assert GOOD not in shown


@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_a_readable_file_is_warned_about(tmp_path: Path, mode: int, warned: int) -> None:
    secrets = load_secrets(write(tmp_path, f"users: {{a: {GOOD}}}", mode))
    assert len(secrets.warnings) == warned
    assert all("chmod 600" in warning for warning in secrets.warnings)


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("users: {}", "users", "there is no user"),
        ("users:", "users", "there is no user"),
        (f"users: [{GOOD}]", "users", "there is no user"),
        (f"user: {{a: {GOOD}}}", "", "keys other than users"),
        (f"users: {{a: {GOOD[:-1]}}}", "users.a", "has 31 characters instead of 32"),
        (f"users: {{a: {GOOD}0}}", "users.a", "has 33 characters"),
        (f"users: {{a: dd{GOOD}}}", "users.a", "leave out the dd or ee"),
        (f"users: {{a: {GOOD[:4]}x{GOOD[5:]}}}", "users.a", "character 5 of the secret"),
        (f'users: {{a: "{GOOD} "}}', "users.a", "character 33 of the secret"),
        ("users: {a: }", "users.a", "has 0 characters"),
        (f"users: {{a: {{b: {GOOD}}}}}", "users.a", "has keys below it"),
        (f"users: {{a: [{GOOD}]}}", "users.a", "has keys below it"),
        (f"users: {{a: {GOOD}, b: {GOOD.upper()}}}", "users.b", "the same secret as a"),
        (f"users: {{a b: {GOOD}}}", "users", "user number 1 has a name that cannot be used"),
        (f"users: {{{GOOD}: alice}}", "users", "user number 1"),
        (f"users: {{{GOOD}0: alice}}", "users", "user number 1"),
        (f"users: {{{'n' * 33}: {GOOD}}}", "users", "user number 1"),
        (f'users: {{"a\\nb": {GOOD}}}', "users", "user number 1"),
        (f"users: {{a: {GOOD}, a: {GOOD}}}", "", "written twice"),
        (f"users: {{a: {GOOD}", "", "is not valid YAML"),
        (f"{GOOD}", "", "holds a single value"),
        (f"{GOOD}: [", "", "is not valid YAML"),
        (f"users: {{a: *{GOOD}}}", "", "aliases"),
        (f"users: {{a: !{GOOD}! x}}", "", ""),
        (f"users: {{a: {GOOD}}}\napi:", "api", "is not 64 hex digits"),
        (f"users: {{a: {GOOD}}}\napi: {GOOD}", "api", "is not 64 hex digits"),
        (f"users: {{a: {GOOD}}}\napi: {'x' * 64}", "api", "is not 64 hex digits"),
        (f"# no api\nusers: {{a: {GOOD}}}", "api", "is missing"),
        (f"users: {{a: {GOOD}}}\napi: [{GOOD}]", "api", "is not 64 hex digits"),
    ],
)
def test_refusals_name_the_user_and_never_the_secret(
    tmp_path: Path, text: str, key: str, says: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        load_secrets(file)
    assert caught.value.key == (key or str(file))
    assert says in str(caught.value)
    assert not re.search(r"[0-9a-fA-F]{8}", str(caught.value).replace(str(tmp_path), ""))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"does not exist; write `users: .*openssl rand -hex 16"):
        load_secrets(tmp_path / "secrets.yaml")


@given(st.text(alphabet="0123456789abcdefg :\n{}[]'\"-_", min_size=12, max_size=60))
@settings(max_examples=150)
def test_any_content_is_kept_out_of_errors(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any-secrets"
    file.write_text(f"users:\n  a: {content}\n")
    try:
        load_secrets(file)
    except SpecError as error:
        text = str(error).replace(str(file), "")
        assert not any(
            content[at : at + 8] in text
            for at in range(len(content) - 7)
            if sum(character in "0123456789abcdef" for character in content[at : at + 8]) == 8
        )


def test_new_secrets_are_different_and_well_formed() -> None:
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch("[0-9a-f]{32}", secret) for secret in made)


def test_a_new_secret_is_not_mistaken_for_one_with_a_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [digits * 16 for digits in ("dd", "ee", "de")]
    monkeypatch.setattr("secrets.token_hex", lambda _bytes: drawn.pop(0))
    assert new_secret() == "de" * 16


def test_links() -> None:
    stack = Stack.model_validate(
        {
            "name": "lab",
            "connections": 1,
            "listen": 9443,
            "telemt": {"public_host": "2001:db8::1", "domain": "Example.com"},
        }
    )
    secure, tls, other, _ = links(stack, Secrets({"a": GOOD, "b": GOOD}))
    assert (secure.user, secure.mode, tls.mode, other.user) == ("a", "secure", "tls", "b")
    assert secure.url == f"tg://proxy?server=2001%3Adb8%3A%3A1&port=9443&secret=dd{GOOD}"
    parts = urlsplit(tls.url)
    assert (parts.scheme, parts.netloc) == ("tg", "proxy")
    secret = parse_qs(parts.query)["secret"][0]
    assert bytes.fromhex(secret) == b"\xee" + bytes.fromhex(GOOD) + b"example.com"
