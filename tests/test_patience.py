import pytest

from binderbox.patience import VARIABLE, patient


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, 15), ("6", 90), ("1", 15), ("1.5", 22.5), ("0", 15), ("-3", 15), ("61", 15), ("inf", 15), ("nan", 15), ("much", 15), ("", 15)],
)  # fmt: skip
def test_a_factor_makes_waits_longer_and_never_shorter_or_endless(
    given: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if given is not None:
        monkeypatch.setenv(VARIABLE, given)
    assert patient(15) == seconds
