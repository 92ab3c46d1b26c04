package stripesim

import (
	"math/big"
	"strings"

	"github.com/bojanz/currency"
)

// currencyDigits is how many digits a currency's minor unit has. code is in
// lower case, as Stripe writes it.
func currencyDigits(code string) (uint8, bool) {
	return currency.GetDigits(strings.ToUpper(code))
}

// formatMoney writes minor units for people, as the portal does: "US$ 250.00", "€ 1,890.00", "¥ 500",
// "−US$ 5.00".
func formatMoney(minor int64, code string) string {
	upper := strings.ToUpper(code)
	amount, err := currency.NewAmountFromInt64(minor, upper)
	if err != nil {
		return upper
	}
	f := currency.NewFormatter(currency.NewLocale("en"))
	f.CurrencyDisplay = currency.DisplayNone
	symbol, ok := currency.GetSymbol(upper, currency.NewLocale("en"))
	switch {
	case !ok:
		symbol = upper
	case upper == "USD": // other countries have dollars too
		symbol = "US$"
	}
	sign := ""
	if minor < 0 {
		sign = "\u2212"
	}
	return sign + symbol + "\u00a0" + strings.TrimLeft(strings.TrimSpace(f.Format(amount)), "-")
}

// minimumCharge is the least that Stripe charges in a currency, in minor
// units: https://stripe.com/docs/currencies#minimum-and-maximum-charge-amounts
func minimumCharge(code string) int64 {
	switch code {
	case "gbp":
		return 30
	case "jpy":
		return 50
	case "dkk":
		return 250
	case "nok", "sek":
		return 300
	}
	return 50
}

// roundedShare is amount × part ÷ whole, rounded to the nearest, halves away
// from zero. part is not negative and whole is positive.
func roundedShare(amount, part, whole int64) int64 {
	sign := int64(1)
	if amount < 0 {
		sign, amount = -1, -amount
	}
	n := new(big.Int).Mul(big.NewInt(amount), big.NewInt(part))
	n.Mul(n, big.NewInt(2)).Add(n, big.NewInt(whole))
	return sign * n.Quo(n, big.NewInt(2*whole)).Int64()
}
