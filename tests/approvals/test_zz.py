import traceback, re
import pytest
from django.db import connection
from tests.approvals.test_statement_budgets import *
from tests.approvals.test_statement_budgets import _nothing_else
pytestmark = pytest.mark.django_db(transaction=True)
def run(work, out):
    rows=[]
    def wrap(execute, sql, params, many, context):
        st=[f for f in traceback.extract_stack() if '/work/hot/' in f.filename and '.venv' not in f.filename and '/tests/' not in f.filename]
        rows.append((re.sub(r'"',"",sql)[:170].replace("\n"," "), " < ".join(f"{f.filename.split('/work/hot/')[1].replace('approvals/','a/')}:{f.lineno}:{f.name}" for f in reversed(st[-5:]))))
        return execute(sql, params, many, context)
    with connection.execute_wrapper(wrap): work()
    with open(out,'w') as f:
        for n,(s,t) in enumerate(rows,1): f.write(f"{n:3} {s}\n      {t}\n")
def test_show(cast):
    request = make_crm(cast)
    page = look_at(request, cast.otto)
    run(lambda: approve(request.pk, decider=cast.otto, reviewed=page), '/tmp/me/approve.txt')
    run(lambda: execute(request.pk), '/tmp/me/execute.txt')
