#!/usr/bin/env python3
"""The workload: an invented county as rows and as a day's changes, the same for the same seed.

  workload.py db FILE TOWN...          a database: household and person of these townships (1..20), with tables
  workload.py fill FILE TOWN...        the same rows into the tables that FILE has already, by plain SQL
  workload.py sql TOWN...              the same rows as INSERT statements
  workload.py changes FOLDER TOWN      c1.sql (1,000 updates) and c2.sql (10,000 mixed), and the same as .tsv
  workload.py probes FOLDER TOWN       u10k.tsv and i10k.tsv: 10,000 two-column updates, 10,000 inserts
  workload.py diverge FILE N           changes one value in N random persons, as damage would
  workload.py units TOWN...            the division codes and names: county, townships, villages, as CSV

  --households N   a township of N households (20,000) and 3.5 N persons; its changes shrink alike
  --cases N        N relief_case rows a township besides (0)
  --unit CODE      only rows in the scope of this unit (12 digits)
  --seed N         another county altogether (1)
  --batch N        fill: rows a transaction (5,000)

A line of a .tsv: U table key column value updated_at | I table values... | D table key.
Each household draws from a stream of its own, named by seed, township and number, so --unit only leaves rows out."""
import argparse
import csv
import datetime
import os
import random
import sqlite3
import sys

COUNTY, COUNTY_NAME = "532999", "剑云县"
VILLAGES = 15                                        # of a township
FULL, PERSONS = 20000, 3.5                           # households of a full township; persons a household
REGISTERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "schema", "registers")
TOWNS = ("青石镇 永丰镇 甸尾镇 沙坪镇 马场镇 云台山镇 羊街乡 弥洛乡 象鼻乡 金川镇 双江乡 云岭镇 石关乡 大坡镇 红岩乡 白水镇 "
         "龙潭乡 河口镇 新街镇 黑石乡").split()
PLACES = "东山 西河 上寨 下寨 石龙 新民 桃园 松坪 大庄 小庄 红星 水井 双桥 北营 南坡 柳湾".split()


class Draw(random.Random):
    """A random stream with the distributions of the field."""
    SURNAMES = "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
    GIVEN = ("伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂兰红玉华建国文斌志春梅海燕小龙凤琴云飞鹏辉俊峰婷雪慧莉鑫浩宇欣怡梓涵"
             "子轩佳琪思雨永福德昌金宝学林正祥光荣兴旺")
    COMMON = [1 / (rank + 3) for rank in range(len(SURNAMES))]       # surnames follow Zipf's law, nearly

    def weighted(self, table):
        return self.choices(list(table), list(table.values()))[0]

    def name(self):
        return self.choices(self.SURNAMES, self.COMMON)[0] + "".join(self.choices(self.GIVEN, k=2 if self.random() < .8 else 1))

    def phone(self):
        return "1%s%09d" % (self.choice("3357788999"), self.randrange(10**9))

    def yuan(self, middle, spread):
        return round(self.lognormvariate(middle, spread), 2)

    def moment(self):
        return str(datetime.datetime(2025, 1, 1) + datetime.timedelta(seconds=self.randrange(300 * 86400)))

    def id_number(self, born, sex):
        body = "%s%s%02d%d" % (COUNTY, born.strftime("%Y%m%d"), self.randrange(100), 2 * self.randrange(5) + (sex == "男"))
        # GB 11643: the check digit makes the weighted sum 1 modulo 11.
        total = sum(int(digit) * 2**(17 - place) for place, digit in enumerate(body))
        return body + "0123456789X"[(1 - total) % 11]


CATEGORY = {"一般户": 70, "脱贫户": 18, "监测户": 4, "低保户": 6, "特困户": 2}
HOUSE_TYPE = dict.fromkeys("砖混 土木 砖木 框架 土坯".split(), 1)
WATER = dict.fromkeys("自来水 井水 山泉水 集中供水".split(), 1)
CAUSE = {"": 4, **dict.fromkeys("因病 因残 因学 缺劳力 缺技术 缺资金 因灾".split(), 1)}
HELPERS = "驻村工作队员 村委会主任 村会计 乡镇包村干部".split()
REMARK = {"": 7, **dict.fromkeys(("2023年新建住房已入住", "户主常年在外务工，电话联系", "已纳入防返贫监测，每月走访", "享受退耕还林补贴",
          "房屋存在漏雨，已申报改造", "子女就读职业学校，享受雨露计划", "土地已流转给合作社"), 1)}
NATION = {"汉族": 14, "白族": 10, "彝族": 2, "傈僳族": 1, "纳西族": 1, "回族": 1}
CHILDREN, PARTNERS = "之子 之女 之孙子 之孙女".split(), "配偶 之父 之母 之儿媳".split()
MARITAL = dict.fromkeys("未婚 已婚 丧偶 离异".split(), 1)
EDUCATION = {"初中": 2, **dict.fromkeys("文盲或半文盲 小学 高中 中专 大专 本科 学龄前儿童".split(), 1)}
HEALTH = {"健康": 12, "长期慢性病": 2, "患有大病": 1, "残疾": 1}
LABOUR = {"普通劳动力": 2, **dict.fromkeys("技能劳动力 弱劳动力或半劳动力 丧失劳动力 无劳动力".split(), 1)}
OCCUPATION = {"务农": 3, "外出务工": 2, **dict.fromkeys("个体经营 在校学生 公益性岗位 无".split(), 1)}
WORKPLACE = {"": 3, **dict.fromkeys("省内县外 县内乡外 广东省深圳市 浙江省义乌市 江苏省苏州市 昆明市官渡区 大理市下关镇 本村".split(), 1)}
INSURANCE = {"城乡居民基本医疗保险": 9, "城镇职工基本医疗保险": 1, "未参保": 1}
PENSION = {"城乡居民基本养老保险": 6, "城镇职工养老保险": 1, "不符合参保条件": 1, "未参保": 1}
STATUS = {"正常": 30, "迁出": 1, "死亡": 1, "服刑": 1}

# A register: its columns in order, each with what draws it from (stream, row so far, place).
HOUSEHOLD = {
    "code": lambda d, row, at: "%s%06d" % (at.village, at.number),
    "village_code": lambda d, row, at: at.village,
    "head_name": lambda d, row, at: d.name(),
    "population": lambda d, row, at: at.persons,
    "category": lambda d, row, at: d.weighted(CATEGORY),
    "income": lambda d, row, at: d.yuan(9.6, .5),
    "address": lambda d, row, at: "%s%s%s村委会%s第%d村民小组%d号" % (COUNTY_NAME, TOWNS[at.town - 1], at.place, at.place,
                                                            d.randrange(1, 13), d.randrange(1, 200)),
    "phone": lambda d, row, at: d.phone(),
    "house_type": lambda d, row, at: d.weighted(HOUSE_TYPE),
    "house_area": lambda d, row, at: round(d.uniform(40, 260), 1),
    "land_mu": lambda d, row, at: round(d.uniform(0, 18), 2),
    "water": lambda d, row, at: d.weighted(WATER),
    "poverty_cause": lambda d, row, at: d.weighted(CAUSE),
    "helper": lambda d, row, at: "%s（%s）" % (d.name(), d.choice(HELPERS)),
    "remark": lambda d, row, at: d.weighted(REMARK),
    "updated_at": lambda d, row, at: d.moment(),
}
PERSON = {
    "id": lambda d, row, at: at.id,
    "household": lambda d, row, at: at.household["code"],
    "village_code": lambda d, row, at: at.household["village_code"],
    "name": lambda d, row, at: at.household["head_name"] if at.relation == "户主" else d.name(),
    "id_number": lambda d, row, at: d.id_number(at.born, at.sex),
    "sex": lambda d, row, at: at.sex,
    "birth": lambda d, row, at: at.born.isoformat(),
    "nation": lambda d, row, at: d.weighted(NATION),
    "relation": lambda d, row, at: at.relation,
    "marital": lambda d, row, at: d.weighted(MARITAL),
    "education": lambda d, row, at: d.weighted(EDUCATION),
    "health": lambda d, row, at: d.weighted(HEALTH),
    "labour": lambda d, row, at: d.weighted(LABOUR),
    "occupation": lambda d, row, at: d.weighted(OCCUPATION),
    "workplace": lambda d, row, at: d.weighted(WORKPLACE),
    "income": lambda d, row, at: d.yuan(8.5, .9),
    "insurance": lambda d, row, at: d.weighted(INSURANCE),
    "pension": lambda d, row, at: d.weighted(PENSION),
    "phone": lambda d, row, at: d.phone() if d.random() < .7 else "",
    "disability": lambda d, row, at: "" if d.random() < .93 else "肢体%d级" % d.randrange(1, 5),
    "status": lambda d, row, at: d.weighted(STATUS),
    "remark": lambda d, row, at: d.weighted(REMARK),
    "updated_at": lambda d, row, at: d.moment(),
}
DECIDED = ("A类", "B类", "C类", "D类")
RELIEF_CASE = {
    "case_no": lambda d, row, at: "%s-2026-%04d" % (at.village, at.number),
    "unit_code": lambda d, row, at: at.village,
    "applicant": lambda d, row, at: d.name(),
    "id_number": lambda d, row, at: d.id_number(datetime.date(d.randrange(1940, 1995), 1, 1) + datetime.timedelta(d.randrange(365)),
                                                d.choice("男女")),
    "members": lambda d, row, at: d.randrange(1, 7),
    "phone": lambda d, row, at: d.phone(),
    "accepted_on": lambda d, row, at: str(datetime.date(2026, 1, 5) + datetime.timedelta(d.randrange(300))),
    "housing": lambda d, row, at: "%s%d平方米" % (d.weighted(HOUSE_TYPE), d.randrange(40, 160)) if at.step > 0 else None,
    "vehicles": lambda d, row, at: d.weighted({"无": 7, "摩托车1辆": 2, "小型面包车1辆": 1}) if at.step > 0 else None,
    "fund": lambda d, row, at: d.weighted({"无": 9, "有，余额%d元" % d.randrange(200, 9000): 1}) if at.step > 0 else None,
    "village_opinion": lambda d, row, at: d.weighted({"评议通过": 8, "评议不通过": 1, "需补充材料": 1}) if at.step > 1 else None,
    "category": lambda d, row, at: d.choice(DECIDED) if at.step > 2 else None,
    "monthly_amount": lambda d, row, at: 355.0 + 5 * d.randrange(60) if at.step > 2 else None,
    "state": lambda d, row, at: ("受理", "受理", "公示", "确认")[at.step],
    "decided_on": lambda d, row, at: str(datetime.date.fromisoformat(row["accepted_on"]) + datetime.timedelta(d.randrange(14, 30)))
                                     if at.step > 2 else None,
}
TABLES = {"household": (HOUSEHOLD, "code"), "person": (PERSON, "id"), "relief_case": (RELIEF_CASE, "case_no")}

# Columns a day's work touches; each is drawn anew as it was at first.
WORK = {"household": "category helper income land_mu phone remark".split(),
        "person": "education health income labour occupation pension phone workplace".split()}


class Place:
    """Where a row stands: what its columns are told."""
    def __init__(self, **facts):
        self.__dict__.update(facts)


def make(table, draw, at):
    row = {}
    for column, drawn in TABLES[table][0].items():
        row[column] = drawn(draw, row, at)
    return row


def village_of(town, index):
    return "%s%03d%03d" % (COUNTY, 100 + town, 201 + index), PLACES[(1 + index) % len(PLACES)]


class Township:
    def __init__(self, town, households=FULL, seed=1):
        if not 1 <= town <= len(TOWNS):
            sys.exit("workload: township %d is not one of 1..%d" % (town, len(TOWNS)))
        self.town, self.n, self.seed = town, households, seed

    def stream(self, *name):
        return Draw("/".join(map(str, (self.seed, self.town) + name)))

    def sizes(self):
        """Persons of each household: one, and the rest thrown at random."""
        sizes, draw = [1] * self.n, self.stream("sizes")
        for _ in range(int(self.n * PERSONS) - self.n):
            sizes[draw.randrange(self.n)] += 1
        return sizes

    def household(self, draw, number, persons, index):
        village, place = village_of(self.town, index)
        return make("household", draw, Place(town=self.town, village=village, place=place, number=number, persons=persons))

    def person(self, draw, id, household, relation):
        year = draw.randrange(1985, 2025) if relation in CHILDREN else draw.randrange(1940, 1995)
        born = datetime.date(year, 1, 1) + datetime.timedelta(draw.randrange(365))
        return make("person", draw, Place(id=id, household=household, relation=relation, sex=draw.choice("男女"), born=born))

    def rows(self, scope=""):
        """(table, row) of every household and then its persons, in the scope of a unit's significant digits."""
        id = self.town * 10**7
        for index, persons in enumerate(self.sizes()):
            village = index * VILLAGES // self.n
            first, id = id + 1, id + persons
            if not village_of(self.town, village)[0].startswith(scope):
                continue
            draw = self.stream("household", index + 1)
            household = self.household(draw, index + 1, persons, village)
            yield "household", household
            for j in range(persons):
                relation = "户主" if j == 0 else draw.choice(CHILDREN + PARTNERS)
                yield "person", self.person(draw, first + j, household, relation)

    def cases(self, n, scope=""):
        for index in range(n):
            village = village_of(self.town, index % VILLAGES)[0]
            if village.startswith(scope):
                draw = self.stream("case", index + 1)
                yield "relief_case", make("relief_case", draw, Place(village=village, number=index // VILLAGES + 1,
                                                                     step=draw.randrange(4)))


class Day:
    """A working day on a township: a stream of operations U, I, D on the rows that stand."""
    def __init__(self, township, name, first_household, first_person):
        self.t, self.draw = township, township.stream(name)
        self.rows = {"household": [], "person": []}
        for table, row in township.rows():
            self.rows[table].append(row)
        self.next = {"household": township.n + first_household, "person": township.town * 10**7 + first_person}

    def times(self, n):
        start = datetime.datetime(2026, 3, 9, 8, 30)
        return [str(start + datetime.timedelta(seconds=i * 9 * 3600 // n)) for i in range(n)]

    def update(self, now):
        table = "household" if self.draw.random() < .3 else "person"
        columns, key = TABLES[table]
        row, column = self.draw.choice(self.rows[table]), self.draw.choice(WORK[table])
        return ["U", table, row[key], column, columns[column](self.draw, row, None), now]

    def insert(self, now):
        table = "household" if self.draw.random() < .2 else "person"
        self.next[table] += 1
        if table == "household":
            row = self.t.household(self.draw, self.next[table], 1, self.draw.randrange(VILLAGES))
        else:
            relation = self.draw.choice(CHILDREN + PARTNERS)
            row = self.t.person(self.draw, self.next[table], self.draw.choice(self.rows["household"]), relation)
        row["updated_at"] = now
        return ["I", table, *row.values()]

    def delete(self):
        persons = self.rows["person"]
        at = self.draw.randrange(len(persons))
        persons[at], persons[-1] = persons[-1], persons[at]
        return ["D", "person", persons.pop()["id"]]

    def mixed(self, now):
        x = self.draw.random()
        return self.update(now) if x < .70 else self.insert(now) if x < .95 else self.delete()


def quote(value):
    if value is None:
        return "NULL"
    return repr(value) if isinstance(value, (int, float)) else "'%s'" % value.replace("'", "''")


def statement(op):
    what, table, *rest = op
    key = TABLES[table][1]
    if what == "U":
        return "UPDATE %s SET %s=%s, updated_at=%s WHERE %s=%s;" % (table, rest[1], quote(rest[2]), quote(rest[3]), key, quote(rest[0]))
    if what == "I":
        return "INSERT INTO %s(%s) VALUES(%s);" % (table, ",".join(TABLES[table][0]), ",".join(map(quote, rest)))
    return "DELETE FROM %s WHERE %s=%s;" % (table, key, quote(rest[0]))


def write_ops(folder, name, ops):
    with open(os.path.join(folder, name + ".tsv"), "w", encoding="utf-8") as tsv:
        tsv.writelines("\t".join(map(str, op)) + "\n" for op in ops)
    with open(os.path.join(folder, name + ".sql"), "w", encoding="utf-8") as sql:
        sql.write("PRAGMA synchronous=NORMAL;\nBEGIN IMMEDIATE;\n")
        sql.writelines(statement(op) + "\n" for op in ops)
        sql.write("COMMIT;\n")


def all_rows(args):
    scope = args.unit.rstrip("0") if args.unit else ""
    if scope:                                        # a field that ends in 0 keeps its digits
        scope = args.unit[:next(n for n in (2, 4, 6, 9, 12) if n >= len(scope))]
    for town in args.what:
        township = Township(int(town), args.households, args.seed)
        yield from township.rows(scope)
        yield from township.cases(args.cases, scope)


def insert_rows(db, rows, batch):
    """Runs of one table a statement; commits every batch rows.  Plain SQL, as any application writes."""
    counts = dict.fromkeys(TABLES, 0)
    inserts = {table: "INSERT INTO %s(%s) VALUES(%s)" % (table, ",".join(columns), ",".join("?" * len(columns)))
               for table, (columns, _) in TABLES.items()}
    for number, (table, row) in enumerate(rows):
        if number % batch == 0:
            db.execute("BEGIN IMMEDIATE")
        db.execute(inserts[table], list(row.values()))
        counts[table] += 1
        if number % batch == batch - 1:
            db.execute("COMMIT")
    if db.in_transaction:
        db.execute("COMMIT")
    return counts


def open_database(path):
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    db.execute("PRAGMA busy_timeout=30000")
    return db


def make_database(args):
    path, *args.what = args.what
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.unlink(path + suffix)
    db = open_database(path)
    for pragma in ("page_size=4096", "journal_mode=WAL", "synchronous=OFF", "cache_size=-400000"):
        db.execute("PRAGMA " + pragma)
    for table in TABLES:
        if table != "relief_case" or args.cases:
            with open(os.path.join(REGISTERS, table, "tables.sql"), encoding="utf-8") as f:
                db.executescript(f.read())
    report(insert_rows(db, all_rows(args), 100000))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def fill(args):
    path, *args.what = args.what
    if not os.path.exists(path):
        sys.exit("workload: %s: no such database" % path)
    db = open_database(path)
    report(insert_rows(db, all_rows(args), args.batch))
    db.close()


def report(counts):
    print(", ".join("%s %d" % item for item in counts.items() if item[1]), file=sys.stderr)


def print_sql(args):
    print("BEGIN IMMEDIATE;")
    for table, row in all_rows(args):
        print(statement(["I", table, *row.values()]))
    print("COMMIT;")


def share(args, n):
    return max(1, n * args.households // FULL)


def changes(args):
    folder, town = args.what
    township = Township(int(town), args.households, args.seed)
    day, n = Day(township, "c1", 0, 0), share(args, 1000)
    write_ops(folder, "c1", [day.update(now) for now in day.times(n)])
    day, n = Day(township, "c2", 0, 5 * 10**6), share(args, 10000)
    write_ops(folder, "c2", [day.mixed(now) for now in day.times(n)])


def probes(args):
    folder, town = args.what
    day, n = Day(Township(int(town), args.households, args.seed), "probes", 50000, 8 * 10**6), share(args, 10000)
    write_ops(folder, "u10k", [day.update(now) for now in day.times(n)])
    write_ops(folder, "i10k", [day.insert(now) for now in day.times(n)])


def diverge(args):
    path, n = args.what
    db, draw = open_database(path), Draw("%s/diverge" % args.seed)
    ids = [row[0] for row in db.execute("SELECT id FROM person ORDER BY id")]
    db.execute("BEGIN IMMEDIATE")
    db.executemany("UPDATE person SET income=income+1 WHERE id=?", [(id,) for id in draw.sample(ids, min(int(n), len(ids)))])
    db.execute("COMMIT")
    db.close()


def units(args):
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["unit", "name"])
    out.writerow([COUNTY + "000000", COUNTY_NAME])
    for town in map(int, args.what):
        out.writerow(["%s%03d000" % (COUNTY, 100 + town), TOWNS[town - 1]])
        for index in range(VILLAGES):
            code, place = village_of(town, index)
            out.writerow([code, place + "村"])


COMMANDS = {"db": make_database, "fill": fill, "sql": print_sql, "changes": changes, "probes": probes, "diverge": diverge,
            "units": units}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                usage="workload.py COMMAND ARGUMENTS [OPTIONS]")
    p.add_argument("command", choices=COMMANDS)
    p.add_argument("what", nargs="+")
    for option, default in (("--households", FULL), ("--cases", 0), ("--seed", 1), ("--batch", 5000)):
        p.add_argument(option, type=int, default=default)
    p.add_argument("--unit", default="")
    args = p.parse_args()
    if args.households < VILLAGES or args.batch < 1:
        sys.exit("workload: a township has at least %d households, a batch one row" % VILLAGES)
    try:
        COMMANDS[args.command](args)
    except BrokenPipeError:
        sys.stderr.close()


if __name__ == "__main__":
    main()
