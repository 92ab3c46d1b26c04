// Package license reads and verifies the router's offline license files, and writes them for their issuer.
//
// A [License] exists only after [Read] verified its signature with a [KeyRing] and checked its product, issuer and
// rules; [License.Check] then says whether it may serve at a time on an instance. Every refusal is an [*Error] with
// the [Code] that a router reports and the HTTP status that its callers get.
//
// A [RevocationBundle] lists the licenses that were withdrawn; it is read as strictly, with keys of the role
// "revocation".
//
// Reading is strict, so that no two readers can take one file for two things: unknown, duplicate or differently
// cased names, null, numbers that are not plain integers, times that are not whole UTC seconds, anything after the
// object, a byte-order mark, invalid text, and base64 in any but its one spelling are refused. Whatever is accepted,
// encoding/json reads as the same values. No input makes the reader panic, recurse, or use more memory than a small
// multiple of the input, of which it takes at most [MaxFileSize] bytes ([MaxRevocationFileSize] of a bundle).
//
// The package uses nothing but the standard library. Package enforce, below this one, is what a router embeds.
package license
