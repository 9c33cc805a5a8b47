"""A wine recommender from end to end: fit, save, recommend, evaluate, on generated data.

python examples/wine_recommender.py [--n 20000] [--users 500] [--picture likes.svg]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from kneighbors import NearestNeighbors, Recommender
from kneighbors.datasets import Wines, make_interactions, make_wines
from kneighbors.evaluate import evaluate_interactions
from kneighbors.evaluate.figure import draw_evaluation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="number of wines")
    parser.add_argument("--users", type=int, default=500, help="number of users")
    parser.add_argument("--picture", type=Path, help="where to write a plot of the evaluation")
    given = parser.parse_args()

    wines = make_wines(given.n)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "wines"
        near = NearestNeighbors(metric="cosine").fit(wines.X, ids=wines.ids, items=wines.items)
        near.save(model)
        recommender = Recommender.open(model)
        recommend(recommender, wines)
        evaluate(recommender, wines, given.users, given.picture)


def recommend(recommender: Recommender, wines: Wines) -> None:
    """Ask as a shop would: what somebody liked, what not, what they would pay."""
    liked, not_liked = wines.ids[9], wines.ids[11]
    found = recommender.recommend(
        like=[liked, wines.embed(["lemon", "wet stone", "crisp"])],
        dislike=[not_liked],
        filter={"price": {"lt": 30}},
        diversity=0.3,
        group_by="variety",
        max_per_group=2,
        n_neighbors=5,
    )
    print(f"who likes {wines.items['name'][9]} and lemon, wet stone, crisp, may like:")
    for distance, wine in zip(found.distances, found.items or []):
        print(f"  {distance:.3f}  {wine['price']:3.0f}  {wine['name']}")


def evaluate(recommender: Recommender, wines: Wines, users: int, picture: Path | None) -> None:
    """Hold out what each user liked last, and see whether it is recommended."""
    likes = make_interactions(wines, users)
    found = evaluate_interactions(recommender, likes, n_neighbors=20)
    print(f"of what {found.split['users']} users liked last, found among 20:")
    for name, measured in found.measured.items():
        recall = measured.merits["hit_recall"]
        print(f"  {recall.value:.3f} ({recall.low:.3f} to {recall.high:.3f})  {name}")
    if picture:
        picture.write_text(draw_evaluation(found), encoding="utf-8")


if __name__ == "__main__":
    main()
