"""When a trial was too disturbed to be believed: the only module that knows what disturbs one."""

from cgidlab.model import Figures, NoisePolicy


def disturbance(figures: Figures, policy: NoisePolicy) -> str | None:
    """Return what disturbed a trial beyond the policy's bounds, in words; None if nothing that was observed did.

    Swapping and throttling have no bound: a window with either measured
    something else. They are not looked at where the policy ignores noise.
    """
    if policy.max_outsider_cpu is None and policy.max_steal_share is None:
        return None
    found = []
    outsiders, steal = figures.outsider_cpu_share, figures.host_steal_share
    if outsiders is not None and policy.max_outsider_cpu is not None and outsiders > policy.max_outsider_cpu:
        found.append(f"other processes used {outsiders:.2f} of a core (bound {policy.max_outsider_cpu:.2f})")
    if steal is not None and policy.max_steal_share is not None and steal > policy.max_steal_share:
        found.append(f"the hypervisor took {steal:.1%} of the CPUs (bound {policy.max_steal_share:.1%})")
    if figures.swapped_pages:
        found.append(f"the host swapped {figures.swapped_pages} pages")
    if figures.throttled_ms:
        found.append(f"the trial was throttled for {figures.throttled_ms:.0f} ms")
    return "noisy: " + "; ".join(found) if found else None
