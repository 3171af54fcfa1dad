"""An observed model as a Spark UDF: each worker is a replica, and what it counted is delivered when it is gone."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

sys.path.insert(0, str(Path(__file__).resolve().parent))
from observe_kit import Rule, registered, rows, settings

from aims_mlflow.monitoring.merging import close_unclosed
from aims_mlflow.monitoring.observing import observed_model
from aims_mlflow.monitoring.observing.shipping import deliver_leftovers

pytestmark = [pytest.mark.spark, pytest.mark.skipif(shutil.which("java") is None, reason="no Java")]


def test_rows_of_a_spark_udf_are_counted(mlflow_store, tmp_path, monkeypatch):
    pyspark = pytest.importorskip("pyspark.sql")
    import mlflow

    client = MlflowClient(tracking_uri=mlflow_store, registry_uri=mlflow_store)
    name = registered(client, tmp_path)
    folder = observed_model(
        name,
        tmp_path / "packed",
        config=settings(),
        tracking_uri=mlflow_store,
        spool=str(tmp_path / "spool"),
        every_rows=1,  # a worker may be killed as soon as Spark has its answer
    )
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    spark = pyspark.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        udf = mlflow.pyfunc.spark_udf(spark, str(folder), result_type="long", env_manager="local")
        frame = rows(3000)
        table = spark.createDataFrame(frame).repartition(4)
        answered = table.withColumn("answer", udf("income", "age", "region")).toPandas()
        assert (answered["answer"].to_numpy() == Rule().predict(answered)).all()
    finally:
        spark.stop()
    import time

    deadline, total = time.monotonic() + 20, 0
    while total < 3000 and time.monotonic() < deadline:  # the workers end a moment after Spark
        time.sleep(1.0)
        assert not deliver_leftovers((tmp_path / "spool",)).set_aside
        results, failed = close_unclosed(client, settings(), early=True)
        assert not failed
        total = max([r.record.rows for r in results], default=total)
    assert total == 3000
