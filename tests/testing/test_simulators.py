from itertools import pairwise

from modelsec.testing.simulators import simulate_traffic


def test_same_seed_same_traffic() -> None:
    """Simulated traffic is reproducible, and differs between seeds."""
    assert list(simulate_traffic(1)) == list(simulate_traffic(1))
    assert list(simulate_traffic(1)) != list(simulate_traffic(2))


def test_traffic_is_ordered_and_labelled() -> None:
    """Requests come in order of time; every account is honest or not, all along."""
    traffic = list(simulate_traffic(0, scale=2))
    assert all(a.ts <= b.ts for a, b in pairwise(traffic))
    labels = {(request.account, request.is_attack) for request in traffic}
    assert len(labels) == len({account for account, _ in labels}) == 34
