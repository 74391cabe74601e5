//! Rows that stand in one hole's place and bear the mac of another: were they moved, or do they
//! stand where they belong and only their macs were changed?
//!
//! Such rows form routes, from place to place: a row stands where the one before it in the route
//! was claimed to belong. A route is judged as a whole, by how much must have been changed for
//! either answer.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::layer::Place;
use super::reconcile::Claims;
use super::wanted::Trust;
use crate::entry::Mac;

/// The number of a hole, and a position in it.
type Spot = (usize, u64);

/// A row that was claimed for another place than its own.
#[derive(Clone, Copy)]
struct Step {
    id: usize,
    /// Where it stands; none if that is in no hole.
    from: Option<Spot>,
    to: Spot,
}

struct Route {
    steps: Vec<Step>,
    is_circle: bool,
    /// Whether an unclaimed row stands where the route ends.
    ends_at_row: bool,
}

impl Route {
    /// Whether an entry would be missing where a row stands, and a row be nobody's where it stands.
    fn leaves_a_place_to_nobody(&self) -> bool {
        self.ends_at_row && self.steps.first().is_some_and(|step| step.from.is_some())
    }
}

/// Which row is whose entry; where nothing is said it is as claimed.
type View = BTreeMap<Spot, Option<usize>>;

impl<K> Claims<'_, K> {
    /// Gives up claims on rows that rather belong where they stand.
    pub fn send_home(&mut self) {
        for route in self.routes() {
            if route.leaves_a_place_to_nobody() || self.changes_at_home(&route) < self.changes_if_moved(&route) {
                self.give_up(&route);
            }
        }
    }

    fn routes(&self) -> Vec<Route> {
        let mut away = BTreeMap::<Spot, Step>::new();
        let mut starts = Vec::new();
        for (number, claimed) in self.claimed.iter().enumerate() {
            for (position, id) in claimed {
                let to = (number, *position);
                let from = self.spot(*id);
                let step = Step { id: *id, from, to };
                match from {
                    Some(from) if from == to => {}
                    Some(from) => {
                        away.entry(from).or_insert(step);
                    }
                    None => starts.push(step),
                }
            }
        }
        let left_empty = |step: &&Step| step.from.is_some_and(|from| self.row_at(from).is_none());
        starts.extend(away.values().filter(left_empty));
        let mut seen = HashSet::new();
        let mut routes: Vec<Route> = starts.into_iter().map(|first| self.follow(first, &away, &mut seen)).collect();
        // What a start leads to has been seen; what is left comes from a row beside one that is away,
        // or is a circle.
        for first in away.values() {
            if first.from.is_some_and(|from| !seen.contains(&from)) {
                let route = self.follow(*first, &away, &mut seen);
                routes.extend(Some(route).filter(|route| route.is_circle));
            }
        }
        routes
    }

    fn follow(&self, first: Step, away: &BTreeMap<Spot, Step>, seen: &mut HashSet<Spot>) -> Route {
        let mut steps = vec![first];
        let mut at = first.to;
        seen.extend(first.from);
        loop {
            let is_circle = first.from == Some(at);
            let ends_at_row = !is_circle && self.occupant(at.0, at.1, None).is_some();
            match away.get(&at) {
                Some(step) if !is_circle && !ends_at_row && seen.insert(at) => {
                    steps.push(*step);
                    at = step.to;
                }
                _ => return Route { steps, is_circle, ends_at_row },
            }
        }
    }

    fn changes_if_moved(&self, route: &Route) -> usize {
        moves(&route.steps) + usize::from(route.ends_at_row) + self.contradictions(route, &View::new())
    }

    fn changes_at_home(&self, route: &Route) -> usize {
        let mut view = View::new();
        if let Some(last) = route.steps.last().filter(|_| !route.is_circle) {
            view.insert(last.to, self.occupant(last.to.0, last.to.1, None));
        }
        let mut changes = 0;
        for step in &route.steps {
            match step.from {
                Some(from) => {
                    view.insert(from, Some(step.id));
                }
                // Put in, and the entry that it was taken for removed.
                None => changes += if route.ends_at_row { 1 } else { 2 },
            }
        }
        // Nothing says that a row below an empty place has its own mac, and it has another's.
        let below_empty = |from: &Spot| {
            let above = (from.0, from.1.saturating_add(1));
            self.holes[above.0].last.is_some_and(|last| above.1 <= last) && self.row_in(&view, above).is_none()
        };
        changes += route.steps.iter().filter_map(|step| step.from).filter(below_empty).count();
        changes + self.contradictions(route, &view)
    }

    /// How often a row of the route's places or next to them does not bear the mac that is known, or
    /// does not follow the row below.
    fn contradictions(&self, route: &Route, view: &View) -> usize {
        let places = route.steps.iter().flat_map(|step| step.from.into_iter().chain([step.to]));
        let places: BTreeSet<Spot> = places.collect();
        let followers: BTreeSet<Spot> =
            places.iter().flat_map(|(number, p)| [(*number, *p), (*number, p.saturating_add(1))]).collect();
        let bears_another = |spot: &&Spot| {
            let row = self.row_in(view, **spot).and_then(|id| self.suspects[id].as_ref());
            let known = self.known_mac(**spot);
            row.is_some_and(|row| known.is_some() && row.mac != known)
        };
        let follows_another = |spot: &&Spot| {
            let prev = self.row_in(view, **spot).and_then(|id| self.suspects[id].as_ref()?.prev);
            let below = self.mac_below(view, **spot);
            prev.is_some() && below.is_some() && prev != below
        };
        places.iter().filter(bears_another).count() + followers.iter().filter(follows_another).count()
    }

    fn mac_below(&self, view: &View, (number, position): Spot) -> Option<Mac> {
        let hole = &self.holes[number];
        if position == hole.first {
            return hole.below;
        }
        let below = (number, position.checked_sub(1)?);
        self.known_mac(below).or_else(|| self.suspects[self.row_in(view, below)?].as_ref()?.mac)
    }

    fn known_mac(&self, (number, position): Spot) -> Option<Mac> {
        self.wanted[number].get(&position).filter(|wanted| wanted.trust == Trust::Known).map(|wanted| wanted.mac)
    }

    fn row_in(&self, view: &View, spot: Spot) -> Option<usize> {
        view.get(&spot).copied().unwrap_or_else(|| self.row_at(spot))
    }

    fn row_at(&self, (number, position): Spot) -> Option<usize> {
        self.claimed[number].get(&position).copied().or_else(|| self.occupant(number, position, None))
    }

    /// The place in a hole where a row stands; none for one to which the chain may never have come.
    fn spot(&self, id: usize) -> Option<Spot> {
        match self.suspects.get(id)?.as_ref()?.place {
            Place::InHole(number, position) if self.holes[number].last.is_some() => Some((number, position)),
            _ => None,
        }
    }

    fn give_up(&mut self, route: &Route) {
        for step in &route.steps {
            self.release(step.to.0, step.to.1);
        }
        for step in &route.steps {
            if let Some((number, position)) = step.from {
                self.claim(number, position, step.id);
            }
        }
    }
}

/// How many times rows were moved: neighbours that went the same way went at once.
fn moves(steps: &[Step]) -> usize {
    let mut steps = steps.to_vec();
    steps.sort_by_key(|step| step.from);
    let next = |spot: Spot| (spot.0, spot.1.saturating_add(1));
    let together =
        steps.windows(2).filter(|pair| pair[0].from.map(next) == pair[1].from && next(pair[0].to) == pair[1].to);
    steps.len() - together.count()
}
