"""Arguments that several verbs take are refused in words."""

import pytest

from edge_agent.cli import main


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["demo", "--for", "20"], "'20' is not a duration – write a number and ms, s, m, h or d, like \"10s\""),
        (["probe", "room", "--for", "soon"], "'soon' is not a duration"),
        (["demo", "--page", "8080"], "'8080' is not an address and port – write it like"),
        (["demo", "--broker", "foo"], "'foo' is not an address and port – write it like"),
        (["demo", "--broker", "foo:99999"], "'foo:99999' is not an address and port"),
    ],
)
def test_a_wrong_argument_says_what_to_write(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the form that is wanted, before anything is started."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert complaint in capsys.readouterr().err
