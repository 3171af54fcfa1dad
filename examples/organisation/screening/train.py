"""Train two versions of the screening: one that looks at age alone, and one that looks at every column."""

import mlflow
from census import features, residents
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder

import aims_mlflow

aims_mlflow.autolog()  # the one line: data, model, environment and findings of every run are captured

train, test = residents(2015, 12_000), residents(2016, 30_000)
age = ("age", KBinsDiscretizer(12, subsample=None), ["AGEP"])
codes = ("codes", OneHotEncoder(handle_unknown="ignore"), [c for c in features(train).columns if c != "AGEP"])

mlflow.set_experiment("benefit-screening")
for name, columns in (("age alone", [age]), ("every column", [age, codes])):
    with mlflow.start_run(run_name=name):
        mlflow.log_input(mlflow.data.from_pandas(train, name="census-2015", targets="employed"), context="training")
        mlflow.log_input(mlflow.data.from_pandas(test, name="census-2016", targets="employed"), context="test")
        model = make_pipeline(ColumnTransformer(columns), LogisticRegression(C=0.5, max_iter=400))
        model.fit(features(train), train["employed"])
        predicted = model.predict(features(test))
        chance = model.predict_proba(features(test))[:, 1]
        mlflow.log_params({"C": 0.5, "max_iter": 400, "rows": len(train), "columns": name})
        aims_mlflow.log_performance(test["employed"], predicted, y_proba=chance, name="census-2016")
        aims_mlflow.log_fairness(test["employed"], predicted, test[["SEX", "RAC1P"]], name="census-2016")
        mlflow.sklearn.log_model(
            model,
            "model",
            signature=mlflow.models.infer_signature(features(train), predicted),
            input_example=features(train).head(2).assign(AGEP=40.0),
            serialization_format="cloudpickle",
            registered_model_name="benefit-screening",
        )
