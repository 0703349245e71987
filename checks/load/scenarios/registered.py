"""Makes a check of each shipped scenario."""

from __future__ import annotations

from checks.context import Context
from checks.load.model import Arrival, Scenario
from checks.load.scenarios.shipped import Shipped, shipped
from checks.model import Area, Outcome, Safety
from checks.registry import check


def sends(scenario: Scenario) -> str:
    """What a scenario sends, as it ships."""
    if scenario.is_capacity:
        return (
            f"messages from {scenario.rate_per_s:g} a second up to {scenario.most_rate_per_s:g}, in steps of "
            f"{scenario.step_s:g} s, until a criterion breaks"
        )
    length = f"{scenario.ramp_s + scenario.hold_s + scenario.ramp_down_s:g} s"
    if scenario.arrival is Arrival.CLOSED:
        think = f"{scenario.think_min_s:g} to {scenario.think_max_s:g} s"
        return f"marked messages of {scenario.users} users who think {think} between two, for {length}"
    return f"{scenario.rate_per_s * 60:.0f} marked messages a minute, whatever the target does, for {length}"


def _register(entry: Shipped) -> None:
    async def judged(context: Context) -> Outcome:
        from checks.load.runner import run_scenario  # the engine is not needed to list what there is

        return await run_scenario(context, entry.scenario.name)

    check(
        entry.id,
        entry.statement,
        area=Area.LOAD,
        severity=entry.severity,
        safety=Safety.DISRUPTIVE,
        sends=sends(entry.scenario),
        why=entry.why,
        reference=entry.reference,
        fix=entry.fix,
        is_by_name=entry.scenario.is_soak,
        scenario=entry.scenario.name,
    )(judged)


for _entry in shipped().values():
    _register(_entry)
