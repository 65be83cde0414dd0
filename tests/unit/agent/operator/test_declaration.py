"""What the TOML beside an operator probe may say."""

from pathlib import Path

import pytest

from agent.operator.declaration import Declaration, DeclarationError, parse

FILE = Path("/etc/inferward/probes.d/tls.toml")
GOOD = """\
description = "bytes through OpenSSL"

[fields]
item = ["direction"]
sum = ["bytes"]

[[attach]]
kind = "uretprobe"
function = "read_done"
symbol = "SSL_read"
library = "libssl.so.3"
"""


def mistakes(text: str) -> list[tuple[str, int]]:
    with pytest.raises(DeclarationError) as raised:
        parse(FILE, text)
    return [(problem.key, problem.origin.line) for problem in raised.value.problems]


def test_a_declaration_is_read_with_its_defaults() -> None:
    declared = parse(FILE, GOOD)
    assert (declared.output, declared.level, declared.workloads) == ("events", "low", ("*",))
    assert declared.fields.item == ("direction",)
    assert declared.attach[0].symbol == "SSL_read"
    assert declared.enabled
    assert declared.rate == Declaration().rate


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    text = GOOD.replace('"SSL_read"', "7").replace("sum", "summ") + "rate = 0\n"
    assert mistakes('levle = "high"\n' + text) == [
        ("levle", 1),
        ("fields.summ", 6),
        ("attach.0.symbol", 11),
        ("attach.0.rate", 13),
    ]


def test_a_near_miss_is_named() -> None:
    with pytest.raises(DeclarationError, match="did you mean level"):
        parse(FILE, 'levle = "high"\n' + GOOD)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (('description = "bytes through OpenSSL"\n', ""), "description"),
        (('item = ["direction"]\n', ""), "fields.item"),
        (('library = "libssl.so.3"\n', ""), "attach.0"),
        (('library = "libssl.so.3"', 'library = "/usr/lib/libssl.so.3"'), "attach.0.library"),
        (('"uretprobe"', '"kprobe"'), "attach.0.library"),
        (('"uretprobe"', '"fentry"'), "attach.0.kind"),
        (('function = "read_done"\n', ""), "attach.0.function"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_refused(change: tuple[str, str], key: str) -> None:
    assert [name for name, _ in mistakes(GOOD.replace(*change))] == [key]


def test_a_tracepoint_is_named_with_its_category() -> None:
    text = GOOD.replace("uretprobe", "tracepoint").replace('library = "libssl.so.3"\n', "")
    assert mistakes(text) == [("attach.0.symbol", 10)]
    parse(FILE, text.replace("SSL_read", "sched:sched_process_exec"))


def test_what_is_no_toml_is_told_with_its_line() -> None:
    assert mistakes(GOOD + "[[attach\n") == [("", 12)]


@pytest.mark.parametrize("name", ["openssl", "native-modules"])
def test_declarations_that_ship_have_no_mistake(name: str) -> None:
    file = Path(__file__).parents[4] / "packaging" / "probes.d" / f"{name}.toml"
    assert parse(file, file.read_text()).description
