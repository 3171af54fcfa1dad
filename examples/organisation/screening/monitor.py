"""Look at two batches before they are used: the month's list of households, and a list of group quarters."""

import mlflow
from census import features, residents

import aims_mlflow

aims_mlflow.autolog(silent=True)

train = residents(2015, 12_000)
version = mlflow.MlflowClient().get_model_version_by_alias("benefit-screening", "champion")
model = mlflow.sklearn.load_model(f"models:/benefit-screening/{version.version}")

# The month's batch is evidence about the version in service: it is kept with the run that made the version.
batch = residents(2018, 12_000)
data = mlflow.data.from_pandas(batch, name="households-2018", targets="employed")
reference = mlflow.data.from_pandas(train, name="census-2015", targets="employed")
with mlflow.start_run(run_id=version.run_id):
    mlflow.log_input(data, context="production")
    quality = aims_mlflow.log_data_quality(data, reference=reference, role="production")
    drift = aims_mlflow.log_drift(data, reference, role="production")
    performance = aims_mlflow.log_performance(
        batch["employed"],
        model.predict(features(batch)),
        y_proba=model.predict_proba(features(batch))[:, 1],
        name="households-2018",
        role="production",
    )
    is_fine = {quality.verdict, drift.verdict, performance.verdict} == {"pass"}
    aims_mlflow.log_evidence(
        "monitoring",
        {"window": "the latest month", "batches": 1, "rows": len(batch)},
        verdict="pass" if is_fine else "fail",
        reason="Quality, drift and performance of the batch were held against their limits before the list went out.",
    )
print(f"households: quality {quality.verdict}, drift {drift.verdict}, performance {performance.verdict}")

# A list nobody should have asked for. It gets a run of its own: it says nothing about the use that is intended.
odd = residents(2018, 12_000, group_quarters=True)
mlflow.set_experiment("benefit-screening")
with mlflow.start_run(run_name="a list of group quarters"):
    drift = aims_mlflow.log_drift(odd, train, name="group-quarters-2018", role="current")
drifted = sum(column.verdict == "fail" for column in drift.columns)
print(f"group quarters: drift {drift.verdict}, {drifted} of {drift.tested} columns")
