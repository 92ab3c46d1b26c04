//go:build js && wasm

// Command licensecheck is the license module for a browser: the page that loads it checks a license file without
// sending it anywhere.
//
//	GOOS=js GOARCH=wasm go build -ldflags="-s -w" -o licensecheck.wasm ./cmd/licensecheck
//
// It sets one global function, licenseCheck(file, keyRing, now): two Uint8Arrays and the time in milliseconds since
// 1970 (Date.now()). The function answers the JSON of checker.Result, also for wrong arguments, and never throws.
package main

import (
	"syscall/js"
	"time"

	"github.com/metrum-ai/licensing-portal/cmd/licensecheck/checker"
)

func main() {
	js.Global().Set("licenseCheck", js.FuncOf(func(_ js.Value, args []js.Value) any {
		if len(args) != 3 || args[2].Type() != js.TypeNumber {
			return checker.WrongUse().JSON()
		}
		file, ok := read(args[0])
		ring, ok2 := read(args[1])
		if !ok || !ok2 {
			return checker.WrongUse().JSON()
		}
		return checker.Check(file, ring, time.UnixMilli(int64(args[2].Float())).UTC()).JSON()
	}))
	select {} // the function is called for as long as the page lives
}

// read copies a Uint8Array, up to one byte more than anything that is looked at.
func read(value js.Value) ([]byte, bool) {
	if value.Type() != js.TypeObject || !value.InstanceOf(js.Global().Get("Uint8Array")) {
		return nil, false
	}
	data := make([]byte, min(value.Length(), checker.MaxFile+1))
	js.CopyBytesToGo(data, value)
	return data, true
}
