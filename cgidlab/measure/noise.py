"""When a trial was too disturbed to be believed."""

from cgidlab.model import Figures, NoisePolicy


def disturbance(figures: Figures, policy: NoisePolicy) -> str | None:
    """Return what disturbed a trial beyond the policy's bounds, in words; None if nothing that was observed did.

    What others wanted counts as much as what they got, which depends on how much the trial leaves them. Swapping and
    throttling have no bound: a window with either measured something else. Nothing is looked at where the policy
    ignores noise.
    """
    if policy.ignores:
        return None
    found = []
    used, wanted, cores = figures.outsider_cpu_share, figures.outsider_wanted_cpu_share, policy.max_outsider_cpu
    if used is not None and cores is not None and used > cores:
        found.append(f"other processes used {used:.2f} of a core (bound {cores:.2f})")
    elif wanted is not None and cores is not None and wanted > cores:
        found.append(f"other processes wanted {wanted:.2f} of a core right before and after (bound {cores:.2f})")
    steal = figures.host_steal_share
    if steal is not None and policy.max_steal_share is not None and steal > policy.max_steal_share:
        found.append(f"the hypervisor took {steal:.1%} of the CPUs (bound {policy.max_steal_share:.1%})")
    slower = figures.slowdown_share
    if slower is not None and policy.max_slowdown_share is not None and slower > policy.max_slowdown_share:
        found.append(f"the host was {slower:.0%} slower than usual (bound {policy.max_slowdown_share:.0%})")
    if figures.swapped_pages:
        found.append(f"the host swapped {figures.swapped_pages} pages")
    if figures.throttled_ms:
        found.append(f"the trial was throttled for {figures.throttled_ms:.0f} ms")
    return "noisy: " + "; ".join(found) if found else None
