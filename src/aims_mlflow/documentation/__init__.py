"""Documents made from what is on record: pivots, Annex IV, evidence requests, model card, ML-BOM. Pure."""
