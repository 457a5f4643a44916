#!/usr/bin/env python3
"""What people enter and change in the demonstration, by plain SQL as any application does.  Rows come from the
project's workload; what is drawn depends on the seed alone, what collides on who was quicker.

  work.py load FILE TOWN HOUSEHOLDS SEED     a township enters its households and persons; prints the counts so far"""
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import workload

NOT_ENTERED = {"household": ["poverty_cause"], "person": ["disability"]}     # the county's to write
VISITED = "category IN ('监测户','低保户','特困户')"
GONE = "status IN ('死亡','迁出')"
APPLICATION = "case_no unit_code applicant id_number members phone accepted_on".split()
CHECK, DECISION = "housing vehicles fund".split(), "category monthly_amount state decided_on".split()
NOW = "2026-03-09 09:30:00"


def insert(db, table, row):
    db.execute("INSERT INTO %s(%s) VALUES(%s)" % (table, ",".join(row), ",".join("?" * len(row))), list(row.values()))


def update(db, table, key, values):
    db.execute("UPDATE %s SET %s WHERE %s=?" % (table, ",".join("%s=?" % c for c in values), workload.TABLES[table][1]),
               [*values.values(), key])


def keys(db, sql, *parameters):
    return [row[0] for row in db.execute(sql + " ORDER BY 1", parameters)]


def some(draw, found, share, most):
    return draw.sample(found, min(len(found), most, max(3, int(len(found) * share))))


def draw_for(seed, *name):
    return workload.Draw("/".join(map(str, ("demo", seed) + name)))


def in_steps(db, jobs, size):
    """Runs the jobs, so many a transaction."""
    for at in range(0, len(jobs), size):
        db.execute("BEGIN IMMEDIATE")
        for job in jobs[at:at + size]:
            job()
        db.execute("COMMIT")


def load(path, town, households, seed):
    db = sqlite3.connect(path, isolation_level=None, timeout=60)
    db.execute("PRAGMA busy_timeout=60000")
    counts, batch = {"household": 0, "person": 0}, []

    def write():
        db.execute("BEGIN IMMEDIATE")
        for table, row in batch:
            insert(db, table, row)
        db.execute("COMMIT")
        batch.clear()
        print(counts["household"], counts["person"], flush=True)

    for table, row in workload.Township(town, households, seed).rows():
        for column in NOT_ENTERED[table]:
            del row[column]
        batch.append((table, row))
        counts[table] += 1
        if len(batch) == 5000:
            write()
    write()


def new_values(draw, table):
    column = draw.choice(workload.WORK[table])
    return {column: workload.TABLES[table][0][column](draw, {}, None), "updated_at": NOW}


def case(draw, unit, number):
    return workload.make("relief_case", draw, workload.Place(village=unit, number=number, step=3))


def open_cases(db, unit, n, seed):
    """Applications as a village (or its township, where the village has no node) accepts them."""
    draw = draw_for(seed, unit, "cases")
    jobs = [lambda row=case(draw, unit, i + 1): insert(db, "relief_case", {c: row[c] for c in APPLICATION}) for i in range(n)]
    in_steps(db, jobs, 50)
    return n


def village_day(db, unit, seed):
    """Visits, people asked about, births, the opinion of the village meeting.  Returns what was inserted."""
    draw, jobs = draw_for(seed, unit, "day"), []
    for code in some(draw, keys(db, "SELECT code FROM household WHERE " + VISITED), .5, 60):
        jobs.append(lambda k=code, v=new_values(draw, "household"): update(db, "household", k, v))
    for number in some(draw, keys(db, "SELECT id FROM person WHERE " + GONE), .5, 60):
        jobs.append(lambda k=number, v={"remark": "家属来电，情况待核实", "updated_at": NOW}: update(db, "person", k, v))
    homes = some(draw, keys(db, "SELECT code FROM household"), .02, 20)
    town, village = int(unit[6:9]) - 100, int(unit[9:12]) - 200
    for i, code in enumerate(homes):
        at = workload.Place(id=town * 10**7 + 6 * 10**6 + village * 10**4 + i, household={"code": code, "village_code": unit},
                            relation="之女", sex="女", born=workload.datetime.date(2026, 3, 1 + i))
        row = workload.make("person", draw, at)
        del row["disability"]
        jobs.append(lambda row=row: insert(db, "person", row))
    for number in keys(db, "SELECT case_no FROM relief_case"):
        opinion = draw.weighted({"评议通过": 8, "评议不通过": 1, "需补充材料": 1})
        jobs.append(lambda k=number, v={"village_opinion": opinion}: update(db, "relief_case", k, v))
    draw.shuffle(jobs)
    in_steps(db, jobs, 10)
    return {"person": len(homes)}


def township_day(db, unit, seed):
    """Its own look at the same households, people struck off, decisions.  Returns what was deleted."""
    draw, jobs, struck = draw_for(seed, unit, "day"), [], 0
    for village in keys(db, "SELECT DISTINCT village_code FROM household"):
        for code in some(draw, keys(db, "SELECT code FROM household WHERE %s AND village_code=?" % VISITED, village), .5, 60):
            jobs.append(lambda k=code, v=new_values(draw, "household"): update(db, "household", k, v))
        for number in some(draw, keys(db, "SELECT id FROM person WHERE %s AND village_code=?" % GONE, village), .33, 100):
            jobs.append(lambda k=number: db.execute("DELETE FROM person WHERE id=?", (k,)))
            struck += 1
    for number in some(draw, keys(db, "SELECT case_no FROM relief_case"), .5, 1000):
        row = case(draw, number[:12], 0)
        jobs.append(lambda k=number, v={c: row[c] for c in DECISION}: update(db, "relief_case", k, v))
    draw.shuffle(jobs)
    in_steps(db, jobs, 20)
    return {"person": -struck}


def county_day(db, unit, seed):
    """What the county verifies: causes of poverty, disabilities, the means of applicants."""
    draw, jobs = draw_for(seed, unit, "day"), []
    for number in keys(db, "SELECT case_no FROM relief_case"):
        row = case(draw, number[:12], 0)
        jobs.append(lambda k=number, v={c: row[c] for c in CHECK}: update(db, "relief_case", k, v))
    for code in some(draw, keys(db, "SELECT code FROM household WHERE " + VISITED), .1, 500):
        cause = draw.choice("因病 因残 因学 缺劳力 缺技术 缺资金 因灾".split())
        jobs.append(lambda k=code, v={"poverty_cause": cause}: update(db, "household", k, v))
    for number in some(draw, keys(db, "SELECT id FROM person WHERE health='残疾'"), .1, 500):
        jobs.append(lambda k=number, v={"disability": "肢体%d级" % draw.randrange(1, 5)}: update(db, "person", k, v))
    draw.shuffle(jobs)
    in_steps(db, jobs, 20)
    return {}


def fill_new_column(db, unit, seed):
    draw = draw_for(seed, unit, "broadband")
    jobs = [lambda k=code, v=draw.choice(("光纤", "无")): update(db, "household", k, {"broadband": v})
            for code in some(draw, keys(db, "SELECT code FROM household"), .1, 200)]
    in_steps(db, jobs, 50)
    return len(jobs)


if __name__ == "__main__":
    if len(sys.argv) != 6 or sys.argv[1] != "load":
        sys.exit(__doc__)
    load(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
