// Package postgres holds all of the portal's SQL, one file an aggregate, each statement beside its scan. Exported methods
// open the transaction they need; helpers take it. Authorization is in the WHERE clause: what belongs to another
// organization is not found. No network call happens in here, and jobs are enqueued in the transaction of their cause.
package postgres
