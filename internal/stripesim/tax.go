package stripesim

// taxPercent is what the stand-in's automatic tax adds in a country. It is for
// trying things out: other countries have none, and no rate is promised.
var taxPercent = map[string]int64{"AT": 20, "DE": 19, "FR": 20, "GB": 20, "IE": 23, "JP": 10, "NL": 21}

func taxRoutes() []route {
	return []route{{"GET", "/v1/tax_rates/{id}", nil, retrieve(kindTaxRate, "tax rate", "tax_rate")}}
}

// taxable is whose tax is reckoned.
type taxable struct {
	country string
	exempt  string // the customer's tax_exempt
}

func taxableCustomer(customer object) taxable {
	return taxable{customer.sub("address").str("country"), customer.str("tax_exempt")}
}

// taxOn is the tax of one amount, as tax_amounts list it. A price whose
// behavior is inclusive has the tax in it; any other has it on top.
func (x *tx) taxOn(amount int64, behavior string, who taxable) (object, error) {
	percent, known := taxPercent[who.country]
	reason := "standard_rated"
	switch {
	case !known:
		reason = "not_collecting"
	case who.exempt == "exempt":
		percent, reason = 0, "customer_exempt"
	case who.exempt == "reverse":
		percent, reason = 0, "reverse_charge"
	}
	rate, err := x.taxRate(who.country, percent)
	if err != nil {
		return nil, err
	}
	inclusive := behavior == "inclusive"
	tax, base := roundedShare(amount, percent, 100), amount
	if inclusive {
		tax = roundedShare(amount, percent, 100+percent)
		base = amount - tax
	}
	return object{
		"amount": tax, "inclusive": inclusive, "tax_rate": rate, "taxability_reason": reason, "taxable_amount": base,
	}, nil
}

// taxRate answers the ID of a country's rate, which is made when first used.
func (x *tx) taxRate(country string, percent int64) (string, error) {
	for _, id := range x.st.objects[kindTaxRate].ids {
		b := x.st.objects[kindTaxRate].get(id).Body
		if b.str("country") == country && b.int("percentage") == percent {
			return id, nil
		}
	}
	id, err := x.objectID(kindTaxRate, "txr_1", 23)
	if err != nil {
		return "", err
	}
	x.save(&record{Body: object{
		"id": id, "object": kindTaxRate, "active": false, "country": nullable(country), "created": x.now.Unix(), "description": nil,
		"display_name": "VAT", "effective_percentage": percent, "inclusive": false, "jurisdiction": nullable(country),
		"jurisdiction_level": "country", "livemode": false, "metadata": object{}, "percentage": percent, "state": nil, "tax_type": "vat",
	}})
	return id, nil
}

// sumTaxes joins tax amounts of one rate, as an invoice's total_tax_amounts do.
func sumTaxes(taxes []any) []any {
	var out []any
	at := map[string]int{}
	for _, v := range taxes {
		t := v.(object)
		key := t.str("tax_rate")
		if t.flag("inclusive") {
			key += " inclusive"
		}
		i, seen := at[key]
		if !seen {
			at[key] = len(out)
			out = append(out, t.clone())
			continue
		}
		sum := out[i].(object)
		sum["amount"] = sum.int("amount") + t.int("amount")
		sum["taxable_amount"] = sum.int("taxable_amount") + t.int("taxable_amount")
	}
	if out == nil {
		return []any{}
	}
	return out
}

// automaticTax is the member of that name of an object that may be taxed.
func automaticTax(enabled bool, status any) object {
	if !enabled {
		return object{"enabled": false, "liability": nil, "status": nil}
	}
	return object{"enabled": true, "liability": object{"type": "self"}, "status": status}
}

// taxStatus says whether tax can be reckoned for a customer.
func taxStatus(who taxable) string {
	if who.country == "" {
		return "requires_location_inputs"
	}
	return "complete"
}

// switchable is {enabled: bool}, such as automatic_tax. Liability is the
// account's own.
func switchable(more schema) field {
	return hash(with(schema{"enabled": boolean().must(), "liability": hash(schema{"type": oneOf("self").must()})}, more))
}
