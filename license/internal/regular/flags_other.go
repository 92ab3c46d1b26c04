//go:build !unix

package regular

// openFlags are none where there are no FIFOs to wait for.
const openFlags = 0
