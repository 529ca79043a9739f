"""simple graph colouring (stand-in)"""
from __future__ import annotations
from purebpf.compiler.target.machine import *
def liveness(fn):
    live_in={b:set() for b in fn.blocks}; live_out={b:set() for b in fn.blocks}
    changed=True
    while changed:
        changed=False
        for b in reversed(fn.blocks):
            out=set()
            for s in b.successors: out|=live_in[s]
            l=set(out)
            for i in reversed(b.insts):
                l-=set(i.defs); l|={u for u in i.uses if u!=10}
            if l!=live_in[b] or out!=live_out[b]:
                live_in[b]=l; live_out[b]=out; changed=True
    return live_out
def allocate(fn):
    nospill=set()
    while True:
        out=liveness(fn)
        adj={}
        def edge(a,b):
            if a!=b and a!=10 and b!=10:
                adj.setdefault(a,set()).add(b); adj.setdefault(b,set()).add(a)
        moves=[]; weight={}
        for b in fn.blocks:
            l=set(out[b])
            for i in reversed(b.insts):
                if i.move: moves.append(i); l-=set(i.uses)
                for d in (*i.defs,*i.clobbers):
                    adj.setdefault(d,set())
                    for x in l|set(i.defs): edge(d,x)
                l-=set(i.defs); l|={u for u in i.uses if u!=10}
                for r in (*i.defs,*i.uses): weight[r]=weight.get(r,0)+1; adj.setdefault(r,set())
        alias={}
        def find(r):
            while r in alias: r=alias[r]
            return r
        for i in moves:
            a,b=find(i.dst),find(i.src)
            if a==b or 10 in (a,b): continue
            if b<FIRST_VIRTUAL: a,b=b,a
            if b<FIRST_VIRTUAL: continue
            if b in adj[a]: continue
            if a<FIRST_VIRTUAL:
                ok=all(t<FIRST_VIRTUAL or len(adj[t])<10 or t in adj[a] for t in adj[b])
            else:
                ok=sum(1 for t in adj[a]|adj[b] if t<FIRST_VIRTUAL or len(adj[t])>=10)<10
            if not ok: continue
            alias[b]=a
            for t in adj.pop(b): adj[t].discard(b); adj[t].add(a); adj[a].add(t)
            weight[a]=weight.get(a,0)+weight.get(b,0)
        graph={r:set(n) for r,n in adj.items()}
        stack=[]
        work={r for r in graph if r>=FIRST_VIRTUAL}
        while work:
            pick=next((r for r in work if len(graph[r])<10),None)
            if pick is None: pick=min(work,key=lambda r:(r in nospill, weight.get(r,0)/max(1,len(graph[r]))))
            work.discard(pick); stack.append(pick)
            for t in graph[pick]: graph[t].discard(pick)
        color={r:r for r in range(11)}
        spilled=None
        prefer={}
        for i in moves:
            a,b=find(i.dst),find(i.src); prefer.setdefault(a,[]).append(b); prefer.setdefault(b,[]).append(a)
        for r in reversed(stack):
            used={color[t] for t in adj[r] if t in color}
            free=[c for c in ALLOCATABLE if c not in used]
            if not free: spilled=r; break
            pref=[color[p] for p in prefer.get(r,[]) if p in color and color[p] in free]
            color[r]=pref[0] if pref else free[0]
        if spilled is None: break
        group={r for r in list(alias)+[spilled] if find(r)==spilled}
        slot=Slot(8,8,'spill'); fn.slots.append(slot)
        for b in fn.blocks:
            new=[]
            for i in b.insts:
                ru=[r for r in i.uses if r in group]; rd=[r for r in i.defs if r in group]
                if ru or rd:
                    f=fn.virtual(); nospill.add(f)
                    if ru: new.append(Inst(0x79,f,10,loc=i.loc,defs=(f,),uses=(10,),slot=slot))
                    m=lambda r: f if r in group else r
                    i.dst=m(i.dst) if i.dst is not None else None; i.src=m(i.src) if i.src is not None else None
                    i.defs=tuple(map(m,i.defs)); i.uses=tuple(map(m,i.uses)); i.move=False
                    new.append(i)
                    if rd: new.append(Inst(0x7b,10,f,loc=i.loc,uses=(10,f),slot=slot))
                else: new.append(i)
            b.insts=new
    for b in fn.blocks:
        new=[]
        for i in b.insts:
            c=lambda r: None if r is None else color[find(r)]
            i.dst,i.src=c(i.dst),c(i.src); i.defs=tuple(map(c,i.defs)); i.uses=tuple(map(c,i.uses))
            if i.move and i.dst==i.src: continue
            new.append(i)
        b.insts=new
