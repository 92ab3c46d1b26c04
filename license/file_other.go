//go:build !unix

package license

// openFlags are none where there are no FIFOs to wait for.
const openFlags = 0
