// Package enforce keeps a router within its license. A Manager loads the license file at start, looks at it again on
// an interval and on demand, and answers on every request whether the router may serve, without a lock or file
// access: the request path reads one atomic pointer and the clock.
//
// What is in force is decided so:
//
//   - The license in force stays until another file at the path has verified whole: signature, rules, dates and
//     instance. A file that does not is refused, and the reason says so; the license in force goes on to its expiry.
//   - Removing the file, or the file in force no longer verifying (a key that is no longer trusted), is a validation
//     error: the router stops serving, or goes on for Config.GracePeriod after the last success as license-grace.
//   - Expiry is noticed by the request after it; no grace covers it.
//
// Trouble with a license never makes New fail: the router starts, not ready, and turns ready when a good file appears.
package enforce
