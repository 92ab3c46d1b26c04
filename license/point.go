package license

import (
	"crypto/ed25519"
	"errors"
	"math/big"
)

// checkPoint refuses a public key that is not the canonical spelling of a curve point of large order (RFC 8032,
// 5.1.3). With a key of small order, signatures exist that verify over any message.
//
// It runs once for each key when a ring is made, so it may use plain big integers; the input is public.
func checkPoint(public ed25519.PublicKey) error {
	one := big.NewInt(1)
	p := new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))

	// y is little-endian; the top bit is the sign of x.
	reversed := make([]byte, len(public))
	for i, b := range public {
		reversed[len(public)-1-i] = b
	}
	reversed[0] &= 0x7f
	y := new(big.Int).SetBytes(reversed)
	if y.Cmp(p) >= 0 {
		return errors.New("the public key is not in its canonical spelling")
	}

	// -x² + y² = 1 + dx²y² with d = -121665/121666, so x² = (y² - 1) / (dy² + 1).
	mod := func(n *big.Int) *big.Int { return n.Mod(n, p) }
	d := mod(new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), p)))
	y2 := mod(new(big.Int).Mul(y, y))
	denominator := mod(new(big.Int).Add(new(big.Int).Mul(d, y2), one))
	x2 := mod(new(big.Int).Mul(new(big.Int).Sub(y2, one), new(big.Int).ModInverse(denominator, p)))
	if big.Jacobi(x2, p) < 0 {
		return errors.New("the public key is not a point of the curve")
	}
	if smallOrder(x2, y2, p) {
		return errors.New("the public key has small order: anyone could sign for it")
	}
	return nil
}

// smallOrder reports whether the point with these squared coordinates has an order of 1, 2, 4 or 8: x = 0 is order 1
// or 2, and y = 0 order 4. A point of order 8 is one whose double has order 4; the double of (x, y) has
// y = (y² + x²) / (1 - dx²y²), which is 0 exactly where x² + y² is.
func smallOrder(x2, y2, p *big.Int) bool {
	sum := new(big.Int).Add(x2, y2)
	return x2.Sign() == 0 || y2.Sign() == 0 || sum.Mod(sum, p).Sign() == 0
}
