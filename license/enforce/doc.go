// Package enforce keeps a router within its license. A Manager loads the license file at start, looks at it again on
// an interval, on demand and when it changes, and answers on every request whether the router may serve and whether
// the license's volume still holds. The request path reads one atomic pointer and a coarse clock and takes credits
// from a shard; it shares no lock, allocates nothing and touches no file.
//
// What is in force is decided so:
//
//   - The license in force stays until another file at the path has verified whole: signature, rules, dates,
//     instance and revocation. A file that does not is refused, and the reason says so; the license in force goes on
//     to its expiry.
//   - Removing the file, or the file in force no longer verifying (a key that is no longer trusted), is a validation
//     error: the router stops serving, or goes on for Config.GracePeriod after the last success as license-grace.
//   - Expiry, a revocation and a clock that was set back are noticed by the request after them; no grace covers those.
//
// Volume (requests and tokens: in all, by month, by window) is counted by license ID. It is taken from the budgets in
// blocks that are on disk before they are used, so that a crash can only count too much, by a block at most. The
// state is kept twice and carries an integrity code; the README's table says what comes of every fault of it, and
// what an administrator of the host can still do.
//
// Trouble with a license, its state or a revocation bundle never makes New fail: the router starts, not ready, and
// turns ready when the trouble is over.
package enforce
