package stripesim

import "net/http"

// priceData are the parameters of a price made for one use.
func priceData() field {
	return hash(schema{
		"currency": currencyCode().must(), "product": text(255), "unit_amount": integer(0, maxUnitAmount).must(),
		"tax_behavior": oneOf("exclusive", "inclusive", "unspecified"), "recurring": recurringParams(), "unit_amount_decimal": notHere(),
		"product_data": hash(schema{
			"name": text(250).must(), "description": text(40000), "metadata": metadata(), "images": notHere(), "tax_code": notHere(),
		}),
	})
}

func recurringParams() field {
	return hash(schema{
		"interval": oneOf("day", "week", "month", "year").must(), "interval_count": integer(1, 1095),
		"usage_type": oneOf("licensed"), "aggregate_usage": notHere(), "meter": notHere(), "trial_period_days": notHere(),
	})
}

// priceOf resolves a line's price or price_data. param is the line's own name,
// empty at the top of a call; want is one_time, recurring, or empty for both.
func (x *tx) priceOf(line object, param, want string) (*record, error) {
	name := func(member string) string {
		if param == "" {
			return member
		}
		return param + "[" + member + "]"
	}
	if line.has("price") == line.has("price_data") {
		return nil, invalid("parameter_missing", name("price"), "You must specify either `price` or `price_data` for every line item.")
	}
	price := x.find(kindPrice, line.str("price"))
	if data := line.sub("price_data"); data != nil {
		var err error
		if price, err = x.inlinePrice(data); err != nil {
			return nil, err
		}
	} else {
		switch {
		case price == nil:
			return nil, missing(http.StatusBadRequest, "price", line.str("price"), name("price"))
		case !price.Body.flag("active"):
			return nil, invalid("", name("price"), "The price specified is inactive. This field only accepts active prices.")
		}
		if product := x.find(kindProduct, price.Body.str("product")); product == nil || !product.Body.flag("active") {
			return nil, invalid("", name("price"), "The product of price %s is not active, so no new purchases may be made.", line.str("price"))
		}
	}
	switch {
	case want == "one_time" && price.Body.str("type") == "recurring":
		return nil, invalid("", name("price"), "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.")
	case want == "recurring" && price.Body.str("type") == "one_time":
		return nil, invalid("", name("price"), "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.")
	}
	return price, nil
}

// inlinePrice makes the inactive price that Stripe keeps for price_data.
func (x *tx) inlinePrice(data object) (*record, error) {
	data = data.clone()
	if data.has("product") == data.has("product_data") {
		return nil, invalid("parameter_missing", "price_data[product]", "You must specify either `product` or `product_data` when creating a price.")
	}
	if fields := data.sub("product_data"); fields != nil {
		product, err := createProduct(x, &call{params: fields})
		if err != nil {
			return nil, err
		}
		data["product"] = product["id"]
	}
	data["active"] = false
	made, err := x.newPrice(data)
	if err != nil {
		return nil, err
	}
	return x.find(kindPrice, made.str("id")), nil
}
