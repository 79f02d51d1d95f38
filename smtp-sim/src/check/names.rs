//! Checks of the resolver's results, and of the notes on its servers.

use super::{Bench, Check};

/// The note on name servers that do not validate.
const ALARM: &str = "DNSSEC validation may be unavailable";

impl Bench<'_> {
    pub(super) fn names(&mut self) {
        for what in self.world.misheard() {
            self.find(Check::Names, what.clone());
        }
        let deliveries = self.world.deliveries().iter();
        let warnings = deliveries.flat_map(|delivery| &delivery.warnings);
        let alarms = warnings.filter(|warning| *warning == ALARM).count();
        let most = usize::from(!self.population.validating);
        if alarms > most {
            let what = format!("{alarms} times instead of {most} at most");
            self.find(Check::FalseAlarm, what);
        }
    }
}
