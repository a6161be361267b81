import json
from unittest.mock import patch
import pytest
from datetime import timedelta
from django.urls import reverse
from django.utils import timezone
from sampling.models import *
from tests.sampling.importing.seen import imports_of_each_stage, SEEN
from annotation import actions as an
from tests.annotation.browser.pages import PHONE

def rows(alice):
    from sampling.rest.tokens import create_token
    from sampling.webhooks import actions as hooks
    create_token(user=alice, name="a rather long name of a notebook on somebody's laptop", scopes=list(Scope.values))
    t,_=create_token(user=alice, name="old", scopes=["read"])
    ApiToken.objects.filter(pk=t.pk).update(revoked_at=timezone.now())
    t,_=create_token(user=alice, name="older", scopes=["read","import"])
    ApiToken.objects.filter(pk=t.pk).update(expires_at=timezone.now()-timedelta(days=3), last_used_at=timezone.now())
    h=hooks.create_webhook(url="https://example.org/a/rather/long/path/"+"x"*80, events=[e.value for e in hooks.subscribable()], created_by=alice)
    h2=hooks.create_webhook(url="https://example.org/short", events=["round.finished"], created_by=alice)
    hooks.change_webhook(webhook=h2,is_active=False)
    for st,n,status,err in (("delivered",1,200,""),("failed",9,500,"Internal server error <b>"+"y"*200),("waiting",2,None,"The address cannot be reached: timed out."),("waiting",0,None,"")):
        Delivery.objects.create(webhook=h,event="comparison.completed",payload={},state=st,attempts=n,last_status=status,last_error=err)
    return h

@pytest.mark.parametrize("name", ["wl","wd","pl","pd"])
def test_shots(new_page, live_server, alice, name):
    h=rows(alice)
    for n in ("Alpha", "Capitals of the world"):
        an.create_project(name=n, created_by=alice)
    prompts = PromptSet.objects.create(name="everyday questions")
    imports = imports_of_each_stage(prompts, alice)
    now=timezone.now()
    common=dict(prompt_set=prompts,created_by=alice,location="/x",name="c.jsonl",state="finished",started_at=now,finished_at=now)
    # a plain file as judgments; mapped with a wrong column; completions brought, broken off; refused undo
    plain=DataImport.objects.create(what="judgments",doing="look",seen=SEEN|{"format":"prompts","records":{"prompts":3,"completions":0,"judgments":0},"problems":[]},options={"format":"prompts"},**common)
    mapped=DataImport.objects.create(what="judgments",doing="look",seen=SEEN|{"format":"mapped","problems":[]},options={"format":"mapped","mapping":{"prompt":"prompt","chosen":"chosen","rejected":"Best Incorrect Answer","annotator":"=me"}},**common)
    brought=DataImport.objects.create(what="completions",doing="import",prompts_added=2,completions_added=4,rejected_count=40,filtered_count=3,**common)
    p=Prompt.objects.create(prompt_set=prompts,messages=[{"role":"user","content":"a"}],content_hash="0"*64,data_import=brought)
    Completion.objects.create(prompt=p,data_import=brought,origin="imported",import_key="1"*32,index=0,text="x",written_by_model="z") if False else None
    for i in range(1,41):
        LeftOutRow.objects.create(data_import=brought,line=i,why="rejected",reason=f"The row has {i} completion; it needs at least 2." if i<40 else "The gzip breaks off: the file is not whole. Copy or upload it again.",content=json.dumps({"prompt":"Why is "*20,"n":{"a":[1,2,3]}},indent=2) if i%2 else "short")
    paths={"list":reverse("sampling:data_imports"),"new":reverse("sampling:import_new")+"?what=judgments","plain":plain.get_absolute_url(),"mapped":mapped.get_absolute_url(),"byhand":plain.get_absolute_url()+"?columns=by-hand","looked":imports[0].get_absolute_url(),"brought":brought.get_absolute_url(),"refused":imports[5].get_absolute_url(),
     "tokens":reverse("sampling:api_tokens"),"token_new":reverse("sampling:api_token_new"),"hooks":reverse("sampling:webhooks"),"hook_new":reverse("sampling:webhook_new"),"hook":h.get_absolute_url(),"hook_delete":reverse("sampling:webhook_delete",args=[h.pk])}
    opt={"color_scheme":"dark" if name[1]=="d" else "light"}
    opt |= PHONE if name[0]=="p" else {"viewport":{"width":1280,"height":800}}
    page=new_page(alice,"/",**opt)
    for k,path in paths.items():
        page.goto(live_server.url+path)
        page.screenshot(path=f"/tmp/m3-shots/{k}-{name}.png",full_page=True)
        for details in page.query_selector_all("main details"):
            details.evaluate("each => { each.open = true; }")
        if page.evaluate("document.documentElement.scrollWidth")>page.viewport_size["width"]: print(k, page.evaluate("""[...document.querySelectorAll('main *')].filter(e=>e.getBoundingClientRect().right>innerWidth+5 && !e.closest('.table-wrap') ).map(e=>e.tagName+'.'+e.className+' '+e.getBoundingClientRect().right).slice(0,12)"""))
        print(k, name, page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"))
    page.goto(live_server.url+paths["token_new"])
    page.fill("[name=name]","notebook"); page.click("button:text-is('Make the token')"); page.wait_for_selector("#new-token")
    page.screenshot(path=f"/tmp/m3-shots/token_made-{name}.png",full_page=True)
