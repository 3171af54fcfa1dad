"""Train the sorting of wine samples on scikit-learn's bundled table."""

import mlflow
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import aims_mlflow

aims_mlflow.autolog()

wine = load_wine(as_frame=True).frame
train, test = train_test_split(wine, random_state=0, stratify=wine["target"])

mlflow.set_experiment("wine-sorting")
with mlflow.start_run(run_name="train"):
    mlflow.log_input(mlflow.data.from_pandas(train, name="wine", targets="target"), context="training")
    mlflow.log_input(mlflow.data.from_pandas(test, name="wine-test", targets="target"), context="test")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit(train.drop(columns="target"), train["target"])
    predicted = model.predict(test.drop(columns="target"))
    mlflow.log_params({"C": 0.1, "rows": len(train)})
    aims_mlflow.log_performance(test["target"], predicted, name="wine-test")
    mlflow.sklearn.log_model(
        model,
        "model",
        signature=mlflow.models.infer_signature(train.drop(columns="target"), predicted),
        input_example=train.drop(columns="target").head(2),
        serialization_format="cloudpickle",
        registered_model_name="wine-sorting",
    )
