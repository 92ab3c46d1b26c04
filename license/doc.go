// Package license reads and verifies the router's offline license files.
package license
