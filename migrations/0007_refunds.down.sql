DROP TABLE refunded_charges;
