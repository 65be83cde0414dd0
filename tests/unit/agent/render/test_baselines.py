"""The page of a baseline: what is known, and what bounds it."""

from agent.render.baselines import baseline_page
from detectors.baseline import Baseline
from detectors.window import Phase
from tests.unit.detectors.factory import item


def test_what_is_known_for_a_phase_alone_and_what_is_in_doubt_is_said() -> None:
    baseline = Baseline("embedder")
    known = baseline.repertoire
    known.phases |= {Phase.STARTUP, Phase.STEADY}
    known.add(item("exec", "/bin/sh"), Phase.STARTUP)
    odd = item("exec", "/srv/odd", at_s=60.0)
    known.doubt(odd)
    known.add(odd)
    known.add(item("file", "/srv/models/digits"))
    lines = baseline_page(baseline.page()).splitlines()
    assert "  seen in the phases: start-up, steady" in lines
    assert "    /bin/sh  (in start-up alone)" in lines
    assert "    /srv/odd  (seen at one time only: in doubt)" in lines
    assert "    /srv/models/digits" in lines
