// Made by tools/agent-codec.mjs of switchgear/v1/agents.proto; `npm run generate` makes it anew.
// @ts-nocheck
import protobuf from 'protobufjs/minimal.js';

const { Reader, Writer, util } = protobuf;

const Version = ((types) => ({
ctor: function Version(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function Version$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.Version: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.major!=null){
  m.major=d.major>>>0
  }
  if(d.minor!=null){
  m.minor=d.minor>>>0
  }
  return m
},
encode: function Version$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.major!=null&&Object.hasOwnProperty.call(m,"major"))
  w.uint32(8).uint32(m.major)
  if(m.minor!=null&&Object.hasOwnProperty.call(m,"minor"))
  w.uint32(16).uint32(m.minor)
  return w
},
decode: function Version$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.major=r.uint32()
  break
  }
  case 2: {
  m.minor=r.uint32()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Version$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.major=0
  d.minor=0
  }
  if(m.major!=null&&Object.hasOwnProperty.call(m,"major")){
  d.major=m.major
  }
  if(m.minor!=null&&Object.hasOwnProperty.call(m,"minor")){
  d.minor=m.minor
  }
  return d
},
}))([undefined, undefined]);

const PolicyHash = ((types) => ({
ctor: function PolicyHash(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function PolicyHash$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.PolicyHash: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.name!=null){
  m.name=String(d.name)
  }
  if(d.hash!=null){
  m.hash=String(d.hash)
  }
  if(d.revision!=null){
  if(util.Long)
  m.revision=util.Long.fromValue(d.revision,true)
  else if(typeof d.revision==="string")
  m.revision=parseInt(d.revision,10)
  else if(typeof d.revision==="number")
  m.revision=d.revision
  else if(typeof d.revision==="object")
  m.revision=new util.LongBits(d.revision.low>>>0,d.revision.high>>>0).toNumber(true)
  }
  return m
},
encode: function PolicyHash$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.name!=null&&Object.hasOwnProperty.call(m,"name"))
  w.uint32(10).string(m.name)
  if(m.hash!=null&&Object.hasOwnProperty.call(m,"hash"))
  w.uint32(18).string(m.hash)
  if(m.revision!=null&&Object.hasOwnProperty.call(m,"revision"))
  w.uint32(24).uint64(m.revision)
  return w
},
}))([undefined, undefined, undefined]);

const Hello = ((types) => ({
ctor: function Hello(p){
  this.capabilities=[]
  this.hashes=[]
  this.callees=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function Hello$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.Hello: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.agent!=null){
  m.agent=String(d.agent)
  }
  if(d.service!=null){
  m.service=String(d.service)
  }
  if(d.instance!=null){
  m.instance=String(d.instance)
  }
  if(d.boot!=null){
  if(util.Long)
  m.boot=util.Long.fromValue(d.boot,true)
  else if(typeof d.boot==="string")
  m.boot=parseInt(d.boot,10)
  else if(typeof d.boot==="number")
  m.boot=d.boot
  else if(typeof d.boot==="object")
  m.boot=new util.LongBits(d.boot.low>>>0,d.boot.high>>>0).toNumber(true)
  }
  if(d.zone!=null){
  m.zone=String(d.zone)
  }
  if(d.version!=null){
  m.version=String(d.version)
  }
  if(d.protocol!=null){
  if(!util.isObject(d.protocol))
  throw TypeError(".switchgear.v1.Hello.protocol: object expected")
  m.protocol=types[6].fromObject(d.protocol,n+1)
  }
  if(d.capabilities){
  if(!Array.isArray(d.capabilities))
  throw TypeError(".switchgear.v1.Hello.capabilities: array expected")
  m.capabilities=[]
  for(var i=0;i<d.capabilities.length;++i){
  m.capabilities[i]=String(d.capabilities[i])
  }
  }
  if(d.dataset!=null){
  m.dataset=String(d.dataset)
  }
  if(d.revision!=null){
  if(util.Long)
  m.revision=util.Long.fromValue(d.revision,true)
  else if(typeof d.revision==="string")
  m.revision=parseInt(d.revision,10)
  else if(typeof d.revision==="number")
  m.revision=d.revision
  else if(typeof d.revision==="object")
  m.revision=new util.LongBits(d.revision.low>>>0,d.revision.high>>>0).toNumber(true)
  }
  if(d.hashes){
  if(!Array.isArray(d.hashes))
  throw TypeError(".switchgear.v1.Hello.hashes: array expected")
  m.hashes=[]
  for(var i=0;i<d.hashes.length;++i){
  if(!util.isObject(d.hashes[i]))
  throw TypeError(".switchgear.v1.Hello.hashes: object expected")
  m.hashes[i]=types[10].fromObject(d.hashes[i],n+1)
  }
  }
  if(d.callees){
  if(!Array.isArray(d.callees))
  throw TypeError(".switchgear.v1.Hello.callees: array expected")
  m.callees=[]
  for(var i=0;i<d.callees.length;++i){
  m.callees[i]=String(d.callees[i])
  }
  }
  if(d.concurrency!=null){
  m.concurrency=d.concurrency>>>0
  }
  return m
},
encode: function Hello$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.agent!=null&&Object.hasOwnProperty.call(m,"agent"))
  w.uint32(10).string(m.agent)
  if(m.service!=null&&Object.hasOwnProperty.call(m,"service"))
  w.uint32(18).string(m.service)
  if(m.instance!=null&&Object.hasOwnProperty.call(m,"instance"))
  w.uint32(26).string(m.instance)
  if(m.boot!=null&&Object.hasOwnProperty.call(m,"boot"))
  w.uint32(32).uint64(m.boot)
  if(m.zone!=null&&Object.hasOwnProperty.call(m,"zone"))
  w.uint32(42).string(m.zone)
  if(m.version!=null&&Object.hasOwnProperty.call(m,"version"))
  w.uint32(50).string(m.version)
  if(m.protocol!=null&&Object.hasOwnProperty.call(m,"protocol"))
  types[6].encode(m.protocol,w.uint32(58).fork(),q+1).ldelim()
  if(m.capabilities!=null&&m.capabilities.length){
  for(var i=0;i<m.capabilities.length;++i)
  w.uint32(66).string(m.capabilities[i])
  }
  if(m.dataset!=null&&Object.hasOwnProperty.call(m,"dataset"))
  w.uint32(74).string(m.dataset)
  if(m.revision!=null&&Object.hasOwnProperty.call(m,"revision"))
  w.uint32(80).uint64(m.revision)
  if(m.hashes!=null&&m.hashes.length){
  for(var i=0;i<m.hashes.length;++i)
  types[10].encode(m.hashes[i],w.uint32(90).fork(),q+1).ldelim()
  }
  if(m.callees!=null&&m.callees.length){
  for(var i=0;i<m.callees.length;++i)
  w.uint32(98).string(m.callees[i])
  }
  if(m.concurrency!=null&&Object.hasOwnProperty.call(m,"concurrency"))
  w.uint32(104).uint32(m.concurrency)
  return w
},
}))([undefined, undefined, undefined, undefined, undefined, undefined, Version, undefined, undefined, undefined, PolicyHash, undefined, undefined]);

const Subscribe = ((types) => ({
ctor: function Subscribe(p){
  this.callees=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function Subscribe$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.Subscribe: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.callees){
  if(!Array.isArray(d.callees))
  throw TypeError(".switchgear.v1.Subscribe.callees: array expected")
  m.callees=[]
  for(var i=0;i<d.callees.length;++i){
  m.callees[i]=String(d.callees[i])
  }
  }
  return m
},
encode: function Subscribe$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.callees!=null&&m.callees.length){
  for(var i=0;i<m.callees.length;++i)
  w.uint32(10).string(m.callees[i])
  }
  return w
},
}))([undefined]);

const Rejected = ((types) => ({
ctor: function Rejected(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function Rejected$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.Rejected: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.name!=null){
  m.name=String(d.name)
  }
  if(d.reason!=null){
  m.reason=String(d.reason)
  }
  if(d.revision!=null){
  if(util.Long)
  m.revision=util.Long.fromValue(d.revision,true)
  else if(typeof d.revision==="string")
  m.revision=parseInt(d.revision,10)
  else if(typeof d.revision==="number")
  m.revision=d.revision
  else if(typeof d.revision==="object")
  m.revision=new util.LongBits(d.revision.low>>>0,d.revision.high>>>0).toNumber(true)
  }
  return m
},
encode: function Rejected$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.name!=null&&Object.hasOwnProperty.call(m,"name"))
  w.uint32(10).string(m.name)
  if(m.reason!=null&&Object.hasOwnProperty.call(m,"reason"))
  w.uint32(18).string(m.reason)
  if(m.revision!=null&&Object.hasOwnProperty.call(m,"revision"))
  w.uint32(24).uint64(m.revision)
  return w
},
}))([undefined, undefined, undefined]);

const Ack = ((types) => ({
ctor: function Ack(p){
  this.applied=[]
  this.rejected=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function Ack$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.Ack: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.nonce!=null){
  if(util.Long)
  m.nonce=util.Long.fromValue(d.nonce,true)
  else if(typeof d.nonce==="string")
  m.nonce=parseInt(d.nonce,10)
  else if(typeof d.nonce==="number")
  m.nonce=d.nonce
  else if(typeof d.nonce==="object")
  m.nonce=new util.LongBits(d.nonce.low>>>0,d.nonce.high>>>0).toNumber(true)
  }
  if(d.applied){
  if(!Array.isArray(d.applied))
  throw TypeError(".switchgear.v1.Ack.applied: array expected")
  m.applied=[]
  for(var i=0;i<d.applied.length;++i){
  m.applied[i]=String(d.applied[i])
  }
  }
  if(d.rejected){
  if(!Array.isArray(d.rejected))
  throw TypeError(".switchgear.v1.Ack.rejected: array expected")
  m.rejected=[]
  for(var i=0;i<d.rejected.length;++i){
  if(!util.isObject(d.rejected[i]))
  throw TypeError(".switchgear.v1.Ack.rejected: object expected")
  m.rejected[i]=types[2].fromObject(d.rejected[i],n+1)
  }
  }
  return m
},
encode: function Ack$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.nonce!=null&&Object.hasOwnProperty.call(m,"nonce"))
  w.uint32(8).uint64(m.nonce)
  if(m.applied!=null&&m.applied.length){
  for(var i=0;i<m.applied.length;++i)
  w.uint32(18).string(m.applied[i])
  }
  if(m.rejected!=null&&m.rejected.length){
  for(var i=0;i<m.rejected.length;++i)
  types[2].encode(m.rejected[i],w.uint32(26).fork(),q+1).ldelim()
  }
  return w
},
}))([undefined, undefined, Rejected]);

const Cell = ((types) => ({
ctor: function Cell(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function Cell$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.Cell: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.callee!=null){
  m.callee=String(d.callee)
  }
  if(d.method!=null){
  m.method=String(d.method)
  }
  if(d.endpoint!=null){
  m.endpoint=String(d.endpoint)
  }
  if(d.ok!=null){
  m.ok=d.ok>>>0
  }
  if(d.failed!=null){
  m.failed=d.failed>>>0
  }
  if(d.slow!=null){
  m.slow=d.slow>>>0
  }
  if(d.rejected!=null){
  m.rejected=d.rejected>>>0
  }
  if(d.blocked!=null){
  m.blocked=d.blocked>>>0
  }
  if(d.latency!=null){
  if(typeof d.latency==="string")
  util.base64.decode(d.latency,m.latency=util.newBuffer(util.base64.length(d.latency)),0)
  else if(d.latency.length >= 0)
  m.latency=d.latency
  }
  return m
},
encode: function Cell$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.callee!=null&&Object.hasOwnProperty.call(m,"callee"))
  w.uint32(10).string(m.callee)
  if(m.method!=null&&Object.hasOwnProperty.call(m,"method"))
  w.uint32(18).string(m.method)
  if(m.endpoint!=null&&Object.hasOwnProperty.call(m,"endpoint"))
  w.uint32(26).string(m.endpoint)
  if(m.ok!=null&&Object.hasOwnProperty.call(m,"ok"))
  w.uint32(32).uint32(m.ok)
  if(m.failed!=null&&Object.hasOwnProperty.call(m,"failed"))
  w.uint32(40).uint32(m.failed)
  if(m.slow!=null&&Object.hasOwnProperty.call(m,"slow"))
  w.uint32(48).uint32(m.slow)
  if(m.rejected!=null&&Object.hasOwnProperty.call(m,"rejected"))
  w.uint32(56).uint32(m.rejected)
  if(m.blocked!=null&&Object.hasOwnProperty.call(m,"blocked"))
  w.uint32(64).uint32(m.blocked)
  if(m.latency!=null&&Object.hasOwnProperty.call(m,"latency"))
  w.uint32(74).bytes(m.latency)
  return w
},
}))([undefined, undefined, undefined, undefined, undefined, undefined, undefined, undefined, undefined]);

const ProbeResult = ((types) => ({
ctor: function ProbeResult(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function ProbeResult$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.ProbeResult: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.circuit!=null){
  m.circuit=String(d.circuit)
  }
  if(d.permit!=null){
  if(util.Long)
  m.permit=util.Long.fromValue(d.permit,true)
  else if(typeof d.permit==="string")
  m.permit=parseInt(d.permit,10)
  else if(typeof d.permit==="number")
  m.permit=d.permit
  else if(typeof d.permit==="object")
  m.permit=new util.LongBits(d.permit.low>>>0,d.permit.high>>>0).toNumber(true)
  }
  if(d.ok!=null){
  m.ok=Boolean(d.ok)
  }
  return m
},
encode: function ProbeResult$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.circuit!=null&&Object.hasOwnProperty.call(m,"circuit"))
  w.uint32(10).string(m.circuit)
  if(m.permit!=null&&Object.hasOwnProperty.call(m,"permit"))
  w.uint32(16).uint64(m.permit)
  if(m.ok!=null&&Object.hasOwnProperty.call(m,"ok"))
  w.uint32(24).bool(m.ok)
  return w
},
}))([undefined, undefined, undefined]);

const CircuitState = ((types) => ({
ctor: function CircuitState(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function CircuitState$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.CircuitState: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.id!=null){
  m.id=String(d.id)
  }
  if(d.callee!=null){
  m.callee=String(d.callee)
  }
  if(d.method!=null){
  m.method=String(d.method)
  }
  if(d.state!=null){
  m.state=String(d.state)
  }
  if(d.policy!=null){
  m.policy=String(d.policy)
  }
  if(d.revision!=null){
  if(util.Long)
  m.revision=util.Long.fromValue(d.revision,true)
  else if(typeof d.revision==="string")
  m.revision=parseInt(d.revision,10)
  else if(typeof d.revision==="number")
  m.revision=d.revision
  else if(typeof d.revision==="object")
  m.revision=new util.LongBits(d.revision.low>>>0,d.revision.high>>>0).toNumber(true)
  }
  if(d.epoch!=null){
  if(util.Long)
  m.epoch=util.Long.fromValue(d.epoch,true)
  else if(typeof d.epoch==="string")
  m.epoch=parseInt(d.epoch,10)
  else if(typeof d.epoch==="number")
  m.epoch=d.epoch
  else if(typeof d.epoch==="object")
  m.epoch=new util.LongBits(d.epoch.low>>>0,d.epoch.high>>>0).toNumber(true)
  }
  if(d.retryAfterMs!=null){
  m.retryAfterMs=d.retryAfterMs>>>0
  }
  if(d.reason!=null){
  m.reason=String(d.reason)
  }
  return m
},
encode: function CircuitState$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.id!=null&&Object.hasOwnProperty.call(m,"id"))
  w.uint32(10).string(m.id)
  if(m.callee!=null&&Object.hasOwnProperty.call(m,"callee"))
  w.uint32(18).string(m.callee)
  if(m.method!=null&&Object.hasOwnProperty.call(m,"method"))
  w.uint32(26).string(m.method)
  if(m.state!=null&&Object.hasOwnProperty.call(m,"state"))
  w.uint32(34).string(m.state)
  if(m.policy!=null&&Object.hasOwnProperty.call(m,"policy"))
  w.uint32(42).string(m.policy)
  if(m.revision!=null&&Object.hasOwnProperty.call(m,"revision"))
  w.uint32(48).uint64(m.revision)
  if(m.epoch!=null&&Object.hasOwnProperty.call(m,"epoch"))
  w.uint32(56).uint64(m.epoch)
  if(m.retryAfterMs!=null&&Object.hasOwnProperty.call(m,"retryAfterMs"))
  w.uint32(64).uint32(m.retryAfterMs)
  if(m.reason!=null&&Object.hasOwnProperty.call(m,"reason"))
  w.uint32(74).string(m.reason)
  return w
},
}))([undefined, undefined, undefined, undefined, undefined, undefined, undefined, undefined, undefined]);

const RateDemand = ((types) => ({
ctor: function RateDemand(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function RateDemand$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.RateDemand: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.id!=null){
  m.id=String(d.id)
  }
  if(d.asked!=null){
  m.asked=d.asked>>>0
  }
  return m
},
encode: function RateDemand$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.id!=null&&Object.hasOwnProperty.call(m,"id"))
  w.uint32(10).string(m.id)
  if(m.asked!=null&&Object.hasOwnProperty.call(m,"asked"))
  w.uint32(16).uint32(m.asked)
  return w
},
}))([undefined, undefined]);

const Report = ((types) => ({
ctor: function Report(p){
  this.cells=[]
  this.probes=[]
  this.circuits=[]
  this.rates=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function Report$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.Report: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.seq!=null){
  if(util.Long)
  m.seq=util.Long.fromValue(d.seq,true)
  else if(typeof d.seq==="string")
  m.seq=parseInt(d.seq,10)
  else if(typeof d.seq==="number")
  m.seq=d.seq
  else if(typeof d.seq==="object")
  m.seq=new util.LongBits(d.seq.low>>>0,d.seq.high>>>0).toNumber(true)
  }
  if(d.elapsedMs!=null){
  m.elapsedMs=d.elapsedMs>>>0
  }
  if(d.cells){
  if(!Array.isArray(d.cells))
  throw TypeError(".switchgear.v1.Report.cells: array expected")
  m.cells=[]
  for(var i=0;i<d.cells.length;++i){
  if(!util.isObject(d.cells[i]))
  throw TypeError(".switchgear.v1.Report.cells: object expected")
  m.cells[i]=types[2].fromObject(d.cells[i],n+1)
  }
  }
  if(d.probes){
  if(!Array.isArray(d.probes))
  throw TypeError(".switchgear.v1.Report.probes: array expected")
  m.probes=[]
  for(var i=0;i<d.probes.length;++i){
  if(!util.isObject(d.probes[i]))
  throw TypeError(".switchgear.v1.Report.probes: object expected")
  m.probes[i]=types[3].fromObject(d.probes[i],n+1)
  }
  }
  if(d.circuits){
  if(!Array.isArray(d.circuits))
  throw TypeError(".switchgear.v1.Report.circuits: array expected")
  m.circuits=[]
  for(var i=0;i<d.circuits.length;++i){
  if(!util.isObject(d.circuits[i]))
  throw TypeError(".switchgear.v1.Report.circuits: object expected")
  m.circuits[i]=types[4].fromObject(d.circuits[i],n+1)
  }
  }
  if(d.rates){
  if(!Array.isArray(d.rates))
  throw TypeError(".switchgear.v1.Report.rates: array expected")
  m.rates=[]
  for(var i=0;i<d.rates.length;++i){
  if(!util.isObject(d.rates[i]))
  throw TypeError(".switchgear.v1.Report.rates: object expected")
  m.rates[i]=types[5].fromObject(d.rates[i],n+1)
  }
  }
  return m
},
encode: function Report$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.seq!=null&&Object.hasOwnProperty.call(m,"seq"))
  w.uint32(8).uint64(m.seq)
  if(m.elapsedMs!=null&&Object.hasOwnProperty.call(m,"elapsedMs"))
  w.uint32(16).uint32(m.elapsedMs)
  if(m.cells!=null&&m.cells.length){
  for(var i=0;i<m.cells.length;++i)
  types[2].encode(m.cells[i],w.uint32(26).fork(),q+1).ldelim()
  }
  if(m.probes!=null&&m.probes.length){
  for(var i=0;i<m.probes.length;++i)
  types[3].encode(m.probes[i],w.uint32(34).fork(),q+1).ldelim()
  }
  if(m.circuits!=null&&m.circuits.length){
  for(var i=0;i<m.circuits.length;++i)
  types[4].encode(m.circuits[i],w.uint32(42).fork(),q+1).ldelim()
  }
  if(m.rates!=null&&m.rates.length){
  for(var i=0;i<m.rates.length;++i)
  types[5].encode(m.rates[i],w.uint32(50).fork(),q+1).ldelim()
  }
  return w
},
}))([undefined, undefined, Cell, ProbeResult, CircuitState, RateDemand]);

const Lease = ((types) => ({
ctor: function Lease(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function Lease$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.Lease: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.requestId!=null){
  m.requestId=String(d.requestId)
  }
  if(d.release!=null){
  m.release=Boolean(d.release)
  }
  if(d.address!=null){
  m.address=String(d.address)
  }
  if(d.protocol!=null){
  m.protocol=String(d.protocol)
  }
  if(d.version!=null){
  m.version=String(d.version)
  }
  if(d.weight!=null){
  m.weight=d.weight>>>0
  }
  return m
},
encode: function Lease$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.requestId!=null&&Object.hasOwnProperty.call(m,"requestId"))
  w.uint32(10).string(m.requestId)
  if(m.release!=null&&Object.hasOwnProperty.call(m,"release"))
  w.uint32(16).bool(m.release)
  if(m.address!=null&&Object.hasOwnProperty.call(m,"address"))
  w.uint32(26).string(m.address)
  if(m.protocol!=null&&Object.hasOwnProperty.call(m,"protocol"))
  w.uint32(34).string(m.protocol)
  if(m.version!=null&&Object.hasOwnProperty.call(m,"version"))
  w.uint32(42).string(m.version)
  if(m.weight!=null&&Object.hasOwnProperty.call(m,"weight"))
  w.uint32(48).uint32(m.weight)
  return w
},
}))([undefined, undefined, undefined, undefined, undefined, undefined]);

const Heartbeat = ((types) => ({
ctor: function Heartbeat(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function Heartbeat$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  return new this.ctor
},
encode: function Heartbeat$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  return w
},
decode: function Heartbeat$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function (){
  return {}
},
}))([]);

const AgentMessage = ((types) => ({
ctor: function AgentMessage(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
fromObject: function AgentMessage$fromObject(d,n){
  if(d instanceof this.ctor)
  return d
  if(!util.isObject(d))
  throw TypeError(".switchgear.v1.AgentMessage: object expected")
  if(n===undefined)n=0
  if(n>util.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var m=new this.ctor
  if(d.hello!=null){
  if(!util.isObject(d.hello))
  throw TypeError(".switchgear.v1.AgentMessage.hello: object expected")
  m.hello=types[0].fromObject(d.hello,n+1)
  }
  if(d.subscribe!=null){
  if(!util.isObject(d.subscribe))
  throw TypeError(".switchgear.v1.AgentMessage.subscribe: object expected")
  m.subscribe=types[1].fromObject(d.subscribe,n+1)
  }
  if(d.ack!=null){
  if(!util.isObject(d.ack))
  throw TypeError(".switchgear.v1.AgentMessage.ack: object expected")
  m.ack=types[2].fromObject(d.ack,n+1)
  }
  if(d.report!=null){
  if(!util.isObject(d.report))
  throw TypeError(".switchgear.v1.AgentMessage.report: object expected")
  m.report=types[3].fromObject(d.report,n+1)
  }
  if(d.lease!=null){
  if(!util.isObject(d.lease))
  throw TypeError(".switchgear.v1.AgentMessage.lease: object expected")
  m.lease=types[4].fromObject(d.lease,n+1)
  }
  if(d.heartbeat!=null){
  if(!util.isObject(d.heartbeat))
  throw TypeError(".switchgear.v1.AgentMessage.heartbeat: object expected")
  m.heartbeat=types[5].fromObject(d.heartbeat,n+1)
  }
  return m
},
encode: function AgentMessage$encode(m,w,q){
  if(!w)
  w=Writer.create()
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  if(m.hello!=null&&Object.hasOwnProperty.call(m,"hello"))
  types[0].encode(m.hello,w.uint32(10).fork(),q+1).ldelim()
  if(m.subscribe!=null&&Object.hasOwnProperty.call(m,"subscribe"))
  types[1].encode(m.subscribe,w.uint32(18).fork(),q+1).ldelim()
  if(m.ack!=null&&Object.hasOwnProperty.call(m,"ack"))
  types[2].encode(m.ack,w.uint32(26).fork(),q+1).ldelim()
  if(m.report!=null&&Object.hasOwnProperty.call(m,"report"))
  types[3].encode(m.report,w.uint32(34).fork(),q+1).ldelim()
  if(m.lease!=null&&Object.hasOwnProperty.call(m,"lease"))
  types[4].encode(m.lease,w.uint32(42).fork(),q+1).ldelim()
  if(m.heartbeat!=null&&Object.hasOwnProperty.call(m,"heartbeat"))
  types[5].encode(m.heartbeat,w.uint32(50).fork(),q+1).ldelim()
  return w
},
}))([Hello, Subscribe, Ack, Report, Lease, Heartbeat]);

const Intervals = ((types) => ({
ctor: function Intervals(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Intervals$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.heartbeatMs=r.uint32()
  break
  }
  case 2: {
  m.reportMs=r.uint32()
  break
  }
  case 3: {
  m.urgentReportMs=r.uint32()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Intervals$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.heartbeatMs=0
  d.reportMs=0
  d.urgentReportMs=0
  }
  if(m.heartbeatMs!=null&&Object.hasOwnProperty.call(m,"heartbeatMs")){
  d.heartbeatMs=m.heartbeatMs
  }
  if(m.reportMs!=null&&Object.hasOwnProperty.call(m,"reportMs")){
  d.reportMs=m.reportMs
  }
  if(m.urgentReportMs!=null&&Object.hasOwnProperty.call(m,"urgentReportMs")){
  d.urgentReportMs=m.urgentReportMs
  }
  return d
},
}))([undefined, undefined, undefined]);

const Welcome = ((types) => ({
ctor: function Welcome(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Welcome$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.mesh=r.string()
  break
  }
  case 2: {
  m.dataset=r.string()
  break
  }
  case 3: {
  m.protocol=types[2].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 4: {
  m.replica=r.string()
  break
  }
  case 5: {
  m.intervals=types[4].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 6: {
  m.error=r.string()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Welcome$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.mesh=""
  d.dataset=""
  d.protocol=null
  d.replica=""
  d.intervals=null
  d.error=""
  }
  if(m.mesh!=null&&Object.hasOwnProperty.call(m,"mesh")){
  d.mesh=m.mesh
  }
  if(m.dataset!=null&&Object.hasOwnProperty.call(m,"dataset")){
  d.dataset=m.dataset
  }
  if(m.protocol!=null&&Object.hasOwnProperty.call(m,"protocol")){
  d.protocol=types[2].toObject(m.protocol,o,q+1)
  }
  if(m.replica!=null&&Object.hasOwnProperty.call(m,"replica")){
  d.replica=m.replica
  }
  if(m.intervals!=null&&Object.hasOwnProperty.call(m,"intervals")){
  d.intervals=types[4].toObject(m.intervals,o,q+1)
  }
  if(m.error!=null&&Object.hasOwnProperty.call(m,"error")){
  d.error=m.error
  }
  return d
},
}))([undefined, undefined, Version, undefined, Intervals, undefined]);

const PreviousDocument = ((types) => ({
ctor: function PreviousDocument(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function PreviousDocument$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.revision=r.uint64()
  break
  }
  case 2: {
  m.document=r.string()
  break
  }
  case 3: {
  m.hash=r.string()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function PreviousDocument$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  if(util.Long){
  var n=new util.Long(0,0,true)
  d.revision=o.longs===String?n.toString():o.longs===Number?n.toNumber():typeof BigInt!=="undefined"&&o.longs===BigInt?n.toBigInt():n
  }else
  d.revision=o.longs===String?"0":typeof BigInt!=="undefined"&&o.longs===BigInt?BigInt("0"):0
  d.document=""
  d.hash=""
  }
  if(m.revision!=null&&Object.hasOwnProperty.call(m,"revision")){
  if(typeof BigInt!=="undefined"&&o.longs===BigInt)
  d.revision=typeof m.revision==="number"?BigInt(m.revision):util.Long.fromBits(m.revision.low>>>0,m.revision.high>>>0,true).toBigInt()
  else if(typeof m.revision==="number")
  d.revision=o.longs===String?String(m.revision):m.revision
  else
  d.revision=o.longs===String?util.Long.prototype.toString.call(m.revision):o.longs===Number?new util.LongBits(m.revision.low>>>0,m.revision.high>>>0).toNumber(true):m.revision
  }
  if(m.document!=null&&Object.hasOwnProperty.call(m,"document")){
  d.document=m.document
  }
  if(m.hash!=null&&Object.hasOwnProperty.call(m,"hash")){
  d.hash=m.hash
  }
  return d
},
}))([undefined, undefined, undefined]);

const PolicyDocument = ((types) => ({
ctor: function PolicyDocument(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function PolicyDocument$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.name=r.string()
  break
  }
  case 2: {
  m.revision=r.uint64()
  break
  }
  case 3: {
  m.document=r.string()
  break
  }
  case 4: {
  m.hash=r.string()
  break
  }
  case 5: {
  m.previous=types[4].decode(r,r.uint32(),undefined,n+1)
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function PolicyDocument$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.name=""
  if(util.Long){
  var n=new util.Long(0,0,true)
  d.revision=o.longs===String?n.toString():o.longs===Number?n.toNumber():typeof BigInt!=="undefined"&&o.longs===BigInt?n.toBigInt():n
  }else
  d.revision=o.longs===String?"0":typeof BigInt!=="undefined"&&o.longs===BigInt?BigInt("0"):0
  d.document=""
  d.hash=""
  d.previous=null
  }
  if(m.name!=null&&Object.hasOwnProperty.call(m,"name")){
  d.name=m.name
  }
  if(m.revision!=null&&Object.hasOwnProperty.call(m,"revision")){
  if(typeof BigInt!=="undefined"&&o.longs===BigInt)
  d.revision=typeof m.revision==="number"?BigInt(m.revision):util.Long.fromBits(m.revision.low>>>0,m.revision.high>>>0,true).toBigInt()
  else if(typeof m.revision==="number")
  d.revision=o.longs===String?String(m.revision):m.revision
  else
  d.revision=o.longs===String?util.Long.prototype.toString.call(m.revision):o.longs===Number?new util.LongBits(m.revision.low>>>0,m.revision.high>>>0).toNumber(true):m.revision
  }
  if(m.document!=null&&Object.hasOwnProperty.call(m,"document")){
  d.document=m.document
  }
  if(m.hash!=null&&Object.hasOwnProperty.call(m,"hash")){
  d.hash=m.hash
  }
  if(m.previous!=null&&Object.hasOwnProperty.call(m,"previous")){
  d.previous=types[4].toObject(m.previous,o,q+1)
  }
  return d
},
}))([undefined, undefined, undefined, undefined, PreviousDocument]);

const Delta = ((types) => ({
ctor: function Delta(p){
  this.upserts=[]
  this.removals=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Delta$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.dataset=r.string()
  break
  }
  case 2: {
  m.revision=r.uint64()
  break
  }
  case 3: {
  m.nonce=r.uint64()
  break
  }
  case 4: {
  m.complete=r.bool()
  break
  }
  case 5: {
  if(!(m.upserts&&m.upserts.length))
  m.upserts=[]
  m.upserts.push(types[4].decode(r,r.uint32(),undefined,n+1))
  break
  }
  case 6: {
  if(!(m.removals&&m.removals.length))
  m.removals=[]
  m.removals.push(r.string())
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Delta$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.arrays||o.defaults){
  d.upserts=[]
  d.removals=[]
  }
  if(o.defaults){
  d.dataset=""
  if(util.Long){
  var n=new util.Long(0,0,true)
  d.revision=o.longs===String?n.toString():o.longs===Number?n.toNumber():typeof BigInt!=="undefined"&&o.longs===BigInt?n.toBigInt():n
  }else
  d.revision=o.longs===String?"0":typeof BigInt!=="undefined"&&o.longs===BigInt?BigInt("0"):0
  if(util.Long){
  var n=new util.Long(0,0,true)
  d.nonce=o.longs===String?n.toString():o.longs===Number?n.toNumber():typeof BigInt!=="undefined"&&o.longs===BigInt?n.toBigInt():n
  }else
  d.nonce=o.longs===String?"0":typeof BigInt!=="undefined"&&o.longs===BigInt?BigInt("0"):0
  d.complete=false
  }
  if(m.dataset!=null&&Object.hasOwnProperty.call(m,"dataset")){
  d.dataset=m.dataset
  }
  if(m.revision!=null&&Object.hasOwnProperty.call(m,"revision")){
  if(typeof BigInt!=="undefined"&&o.longs===BigInt)
  d.revision=typeof m.revision==="number"?BigInt(m.revision):util.Long.fromBits(m.revision.low>>>0,m.revision.high>>>0,true).toBigInt()
  else if(typeof m.revision==="number")
  d.revision=o.longs===String?String(m.revision):m.revision
  else
  d.revision=o.longs===String?util.Long.prototype.toString.call(m.revision):o.longs===Number?new util.LongBits(m.revision.low>>>0,m.revision.high>>>0).toNumber(true):m.revision
  }
  if(m.nonce!=null&&Object.hasOwnProperty.call(m,"nonce")){
  if(typeof BigInt!=="undefined"&&o.longs===BigInt)
  d.nonce=typeof m.nonce==="number"?BigInt(m.nonce):util.Long.fromBits(m.nonce.low>>>0,m.nonce.high>>>0,true).toBigInt()
  else if(typeof m.nonce==="number")
  d.nonce=o.longs===String?String(m.nonce):m.nonce
  else
  d.nonce=o.longs===String?util.Long.prototype.toString.call(m.nonce):o.longs===Number?new util.LongBits(m.nonce.low>>>0,m.nonce.high>>>0).toNumber(true):m.nonce
  }
  if(m.complete!=null&&Object.hasOwnProperty.call(m,"complete")){
  d.complete=m.complete
  }
  if(m.upserts&&m.upserts.length){
  d.upserts=[]
  for(var j=0;j<m.upserts.length;++j){
  d.upserts[j]=types[4].toObject(m.upserts[j],o,q+1)
  }
  }
  if(m.removals&&m.removals.length){
  d.removals=[]
  for(var j=0;j<m.removals.length;++j){
  d.removals[j]=m.removals[j]
  }
  }
  return d
},
}))([undefined, undefined, undefined, undefined, PolicyDocument, undefined]);

const Endpoint = ((types) => ({
ctor: function Endpoint(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Endpoint$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.instance=r.string()
  break
  }
  case 2: {
  m.address=r.string()
  break
  }
  case 3: {
  m.zone=r.string()
  break
  }
  case 4: {
  m.version=r.string()
  break
  }
  case 5: {
  m.protocol=r.string()
  break
  }
  case 6: {
  m.weight=r.uint32()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Endpoint$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.instance=""
  d.address=""
  d.zone=""
  d.version=""
  d.protocol=""
  d.weight=0
  }
  if(m.instance!=null&&Object.hasOwnProperty.call(m,"instance")){
  d.instance=m.instance
  }
  if(m.address!=null&&Object.hasOwnProperty.call(m,"address")){
  d.address=m.address
  }
  if(m.zone!=null&&Object.hasOwnProperty.call(m,"zone")){
  d.zone=m.zone
  }
  if(m.version!=null&&Object.hasOwnProperty.call(m,"version")){
  d.version=m.version
  }
  if(m.protocol!=null&&Object.hasOwnProperty.call(m,"protocol")){
  d.protocol=m.protocol
  }
  if(m.weight!=null&&Object.hasOwnProperty.call(m,"weight")){
  d.weight=m.weight
  }
  return d
},
}))([undefined, undefined, undefined, undefined, undefined, undefined]);

const Endpoints = ((types) => ({
ctor: function Endpoints(p){
  this.instances=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Endpoints$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.service=r.string()
  break
  }
  case 2: {
  if(!(m.instances&&m.instances.length))
  m.instances=[]
  m.instances.push(types[1].decode(r,r.uint32(),undefined,n+1))
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Endpoints$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.arrays||o.defaults){
  d.instances=[]
  }
  if(o.defaults){
  d.service=""
  }
  if(m.service!=null&&Object.hasOwnProperty.call(m,"service")){
  d.service=m.service
  }
  if(m.instances&&m.instances.length){
  d.instances=[]
  for(var j=0;j<m.instances.length;++j){
  d.instances[j]=types[1].toObject(m.instances[j],o,q+1)
  }
  }
  return d
},
}))([undefined, Endpoint]);

const LeaseResult = ((types) => ({
ctor: function LeaseResult(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function LeaseResult$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.requestId=r.string()
  break
  }
  case 2: {
  m.ttlMs=r.uint32()
  break
  }
  case 3: {
  m.error=r.string()
  break
  }
  case 4: {
  m.code=r.string()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function LeaseResult$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.requestId=""
  d.ttlMs=0
  d.error=""
  d.code=""
  }
  if(m.requestId!=null&&Object.hasOwnProperty.call(m,"requestId")){
  d.requestId=m.requestId
  }
  if(m.ttlMs!=null&&Object.hasOwnProperty.call(m,"ttlMs")){
  d.ttlMs=m.ttlMs
  }
  if(m.error!=null&&Object.hasOwnProperty.call(m,"error")){
  d.error=m.error
  }
  if(m.code!=null&&Object.hasOwnProperty.call(m,"code")){
  d.code=m.code
  }
  return d
},
}))([undefined, undefined, undefined, undefined]);

const Directive = ((types) => ({
ctor: function Directive(p){
  this.permits=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Directive$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.circuit=r.string()
  break
  }
  case 2: {
  m.state=r.string()
  break
  }
  case 3: {
  m.circuitEpoch=r.uint64()
  break
  }
  case 4: {
  m.seq=r.uint64()
  break
  }
  case 5: {
  m.admitPercent=r.uint32()
  break
  }
  case 6: {
  if(!(m.permits&&m.permits.length))
  m.permits=[]
  if((t&7)===2){
  var c2=r.uint32()+r.pos
  if(c2>r.len)
  throw RangeError("index out of range")
  r.len=c2
  while(r.pos<c2)
  m.permits.push(r.uint64())
  if(r.pos!==c2)
  throw RangeError("index out of range")
  r.len=c
  }else
  m.permits.push(r.uint64())
  break
  }
  case 7: {
  m.ttlMs=r.uint32()
  break
  }
  case 8: {
  m.reason=r.string()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Directive$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.arrays||o.defaults){
  d.permits=[]
  }
  if(o.defaults){
  d.circuit=""
  d.state=""
  if(util.Long){
  var n=new util.Long(0,0,true)
  d.circuitEpoch=o.longs===String?n.toString():o.longs===Number?n.toNumber():typeof BigInt!=="undefined"&&o.longs===BigInt?n.toBigInt():n
  }else
  d.circuitEpoch=o.longs===String?"0":typeof BigInt!=="undefined"&&o.longs===BigInt?BigInt("0"):0
  if(util.Long){
  var n=new util.Long(0,0,true)
  d.seq=o.longs===String?n.toString():o.longs===Number?n.toNumber():typeof BigInt!=="undefined"&&o.longs===BigInt?n.toBigInt():n
  }else
  d.seq=o.longs===String?"0":typeof BigInt!=="undefined"&&o.longs===BigInt?BigInt("0"):0
  d.admitPercent=0
  d.ttlMs=0
  d.reason=""
  }
  if(m.circuit!=null&&Object.hasOwnProperty.call(m,"circuit")){
  d.circuit=m.circuit
  }
  if(m.state!=null&&Object.hasOwnProperty.call(m,"state")){
  d.state=m.state
  }
  if(m.circuitEpoch!=null&&Object.hasOwnProperty.call(m,"circuitEpoch")){
  if(typeof BigInt!=="undefined"&&o.longs===BigInt)
  d.circuitEpoch=typeof m.circuitEpoch==="number"?BigInt(m.circuitEpoch):util.Long.fromBits(m.circuitEpoch.low>>>0,m.circuitEpoch.high>>>0,true).toBigInt()
  else if(typeof m.circuitEpoch==="number")
  d.circuitEpoch=o.longs===String?String(m.circuitEpoch):m.circuitEpoch
  else
  d.circuitEpoch=o.longs===String?util.Long.prototype.toString.call(m.circuitEpoch):o.longs===Number?new util.LongBits(m.circuitEpoch.low>>>0,m.circuitEpoch.high>>>0).toNumber(true):m.circuitEpoch
  }
  if(m.seq!=null&&Object.hasOwnProperty.call(m,"seq")){
  if(typeof BigInt!=="undefined"&&o.longs===BigInt)
  d.seq=typeof m.seq==="number"?BigInt(m.seq):util.Long.fromBits(m.seq.low>>>0,m.seq.high>>>0,true).toBigInt()
  else if(typeof m.seq==="number")
  d.seq=o.longs===String?String(m.seq):m.seq
  else
  d.seq=o.longs===String?util.Long.prototype.toString.call(m.seq):o.longs===Number?new util.LongBits(m.seq.low>>>0,m.seq.high>>>0).toNumber(true):m.seq
  }
  if(m.admitPercent!=null&&Object.hasOwnProperty.call(m,"admitPercent")){
  d.admitPercent=m.admitPercent
  }
  if(m.permits&&m.permits.length){
  d.permits=[]
  for(var j=0;j<m.permits.length;++j){
  if(typeof BigInt!=="undefined"&&o.longs===BigInt)
  d.permits[j]=typeof m.permits[j]==="number"?BigInt(m.permits[j]):util.Long.fromBits(m.permits[j].low>>>0,m.permits[j].high>>>0,true).toBigInt()
  else if(typeof m.permits[j]==="number")
  d.permits[j]=o.longs===String?String(m.permits[j]):m.permits[j]
  else
  d.permits[j]=o.longs===String?util.Long.prototype.toString.call(m.permits[j]):o.longs===Number?new util.LongBits(m.permits[j].low>>>0,m.permits[j].high>>>0).toNumber(true):m.permits[j]
  }
  }
  if(m.ttlMs!=null&&Object.hasOwnProperty.call(m,"ttlMs")){
  d.ttlMs=m.ttlMs
  }
  if(m.reason!=null&&Object.hasOwnProperty.call(m,"reason")){
  d.reason=m.reason
  }
  return d
},
}))([undefined, undefined, undefined, undefined, undefined, undefined, undefined, undefined]);

const Directives = ((types) => ({
ctor: function Directives(p){
  this.directives=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Directives$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  if(!(m.directives&&m.directives.length))
  m.directives=[]
  m.directives.push(types[0].decode(r,r.uint32(),undefined,n+1))
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Directives$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.arrays||o.defaults){
  d.directives=[]
  }
  if(m.directives&&m.directives.length){
  d.directives=[]
  for(var j=0;j<m.directives.length;++j){
  d.directives[j]=types[0].toObject(m.directives[j],o,q+1)
  }
  }
  return d
},
}))([Directive]);

const Drain = ((types) => ({
ctor: function Drain(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Drain$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.afterMs=r.uint32()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Drain$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.afterMs=0
  }
  if(m.afterMs!=null&&Object.hasOwnProperty.call(m,"afterMs")){
  d.afterMs=m.afterMs
  }
  return d
},
}))([undefined]);

const Feature = ((types) => ({
ctor: function Feature(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Feature$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.name=r.string()
  break
  }
  case 2: {
  m.level=r.uint32()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Feature$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.name=""
  d.level=0
  }
  if(m.name!=null&&Object.hasOwnProperty.call(m,"name")){
  d.name=m.name
  }
  if(m.level!=null&&Object.hasOwnProperty.call(m,"level")){
  d.level=m.level
  }
  return d
},
}))([undefined, undefined]);

const Brownout = ((types) => ({
ctor: function Brownout(p){
  this.features=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function Brownout$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.level=r.uint32()
  break
  }
  case 2: {
  if(!(m.features&&m.features.length))
  m.features=[]
  m.features.push(types[1].decode(r,r.uint32(),undefined,n+1))
  break
  }
  case 3: {
  m.ttlMs=r.uint32()
  break
  }
  case 4: {
  m.reason=r.string()
  break
  }
  case 5: {
  m.revision=r.uint64()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function Brownout$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.arrays||o.defaults){
  d.features=[]
  }
  if(o.defaults){
  d.level=0
  d.ttlMs=0
  d.reason=""
  if(util.Long){
  var n=new util.Long(0,0,true)
  d.revision=o.longs===String?n.toString():o.longs===Number?n.toNumber():typeof BigInt!=="undefined"&&o.longs===BigInt?n.toBigInt():n
  }else
  d.revision=o.longs===String?"0":typeof BigInt!=="undefined"&&o.longs===BigInt?BigInt("0"):0
  }
  if(m.level!=null&&Object.hasOwnProperty.call(m,"level")){
  d.level=m.level
  }
  if(m.features&&m.features.length){
  d.features=[]
  for(var j=0;j<m.features.length;++j){
  d.features[j]=types[1].toObject(m.features[j],o,q+1)
  }
  }
  if(m.ttlMs!=null&&Object.hasOwnProperty.call(m,"ttlMs")){
  d.ttlMs=m.ttlMs
  }
  if(m.reason!=null&&Object.hasOwnProperty.call(m,"reason")){
  d.reason=m.reason
  }
  if(m.revision!=null&&Object.hasOwnProperty.call(m,"revision")){
  if(typeof BigInt!=="undefined"&&o.longs===BigInt)
  d.revision=typeof m.revision==="number"?BigInt(m.revision):util.Long.fromBits(m.revision.low>>>0,m.revision.high>>>0,true).toBigInt()
  else if(typeof m.revision==="number")
  d.revision=o.longs===String?String(m.revision):m.revision
  else
  d.revision=o.longs===String?util.Long.prototype.toString.call(m.revision):o.longs===Number?new util.LongBits(m.revision.low>>>0,m.revision.high>>>0).toNumber(true):m.revision
  }
  return d
},
}))([undefined, Feature, undefined, undefined, undefined]);

const RateGrant = ((types) => ({
ctor: function RateGrant(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function RateGrant$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.id=r.string()
  break
  }
  case 2: {
  m.tokens=r.uint32()
  break
  }
  case 3: {
  m.intervalMs=r.uint32()
  break
  }
  case 4: {
  m.agents=r.uint32()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function RateGrant$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.id=""
  d.tokens=0
  d.intervalMs=0
  d.agents=0
  }
  if(m.id!=null&&Object.hasOwnProperty.call(m,"id")){
  d.id=m.id
  }
  if(m.tokens!=null&&Object.hasOwnProperty.call(m,"tokens")){
  d.tokens=m.tokens
  }
  if(m.intervalMs!=null&&Object.hasOwnProperty.call(m,"intervalMs")){
  d.intervalMs=m.intervalMs
  }
  if(m.agents!=null&&Object.hasOwnProperty.call(m,"agents")){
  d.agents=m.agents
  }
  return d
},
}))([undefined, undefined, undefined, undefined]);

const RateGrants = ((types) => ({
ctor: function RateGrants(p){
  this.grants=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function RateGrants$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  if(!(m.grants&&m.grants.length))
  m.grants=[]
  m.grants.push(types[0].decode(r,r.uint32(),undefined,n+1))
  break
  }
  case 2: {
  m.ttlMs=r.uint32()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function RateGrants$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.arrays||o.defaults){
  d.grants=[]
  }
  if(o.defaults){
  d.ttlMs=0
  }
  if(m.grants&&m.grants.length){
  d.grants=[]
  for(var j=0;j<m.grants.length;++j){
  d.grants[j]=types[0].toObject(m.grants[j],o,q+1)
  }
  }
  if(m.ttlMs!=null&&Object.hasOwnProperty.call(m,"ttlMs")){
  d.ttlMs=m.ttlMs
  }
  return d
},
}))([RateGrant, undefined]);

const RateShare = ((types) => ({
ctor: function RateShare(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function RateShare$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.id=r.string()
  break
  }
  case 2: {
  m.agents=r.uint32()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function RateShare$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.defaults){
  d.id=""
  d.agents=0
  }
  if(m.id!=null&&Object.hasOwnProperty.call(m,"id")){
  d.id=m.id
  }
  if(m.agents!=null&&Object.hasOwnProperty.call(m,"agents")){
  d.agents=m.agents
  }
  return d
},
}))([undefined, undefined]);

const RateShares = ((types) => ({
ctor: function RateShares(p){
  this.shares=[]
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function RateShares$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  if(!(m.shares&&m.shares.length))
  m.shares=[]
  m.shares.push(types[0].decode(r,r.uint32(),undefined,n+1))
  break
  }
  case 2: {
  m.agents=r.uint32()
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function RateShares$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(o.arrays||o.defaults){
  d.shares=[]
  }
  if(o.defaults){
  d.agents=0
  }
  if(m.shares&&m.shares.length){
  d.shares=[]
  for(var j=0;j<m.shares.length;++j){
  d.shares[j]=types[0].toObject(m.shares[j],o,q+1)
  }
  }
  if(m.agents!=null&&Object.hasOwnProperty.call(m,"agents")){
  d.agents=m.agents
  }
  return d
},
}))([RateShare, undefined]);

const ControlMessage = ((types) => ({
ctor: function ControlMessage(p){
  if(p)for(var ks=Object.keys(p),i=0;i<ks.length;++i)if(p[ks[i]]!=null&&ks[i]!=="__proto__")
  this[ks[i]]=p[ks[i]]
},
decode: function ControlMessage$decode(r,l,e,n){
  if(!(r instanceof Reader))
  r=Reader.create(r)
  if(n===undefined)n=0
  if(n>Reader.recursionLimit)
  throw Error("maximum nesting depth exceeded")
  var c,m
  if(l===undefined)
  c=r.len
  else{
  c=r.pos+l
  if(c>r.len)
  throw RangeError("index out of range")
  l=r.len
  r.len=c
  }
  m=new this.ctor
  while(r.pos<c){
  var t=r.uint32()
  if(t===e)
  break
  switch(t>>>3){
  case 1: {
  m.welcome=types[0].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 2: {
  m.delta=types[1].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 3: {
  m.endpoints=types[2].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 4: {
  m.lease=types[3].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 5: {
  m.directives=types[4].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 6: {
  m.drain=types[5].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 7: {
  m.heartbeat=types[6].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 8: {
  m.brownout=types[7].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 9: {
  m.grants=types[8].decode(r,r.uint32(),undefined,n+1)
  break
  }
  case 10: {
  m.shares=types[9].decode(r,r.uint32(),undefined,n+1)
  break
  }
  default:
  r.skipType(t&7,n)
  break
  }
  }
  if(l!==undefined){
  if(r.pos!==c)
  throw RangeError("index out of range")
  r.len=l
  }
  return m
},
toObject: function ControlMessage$toObject(m,o,q){
  if(!o)
  o={}
  if(q===undefined)q=0
  if(q>util.recursionLimit)
  throw Error("max depth exceeded")
  var d={}
  if(m.welcome!=null&&Object.hasOwnProperty.call(m,"welcome")){
  d.welcome=types[0].toObject(m.welcome,o,q+1)
  if(o.oneofs)
  d.message="welcome"
  }
  if(m.delta!=null&&Object.hasOwnProperty.call(m,"delta")){
  d.delta=types[1].toObject(m.delta,o,q+1)
  if(o.oneofs)
  d.message="delta"
  }
  if(m.endpoints!=null&&Object.hasOwnProperty.call(m,"endpoints")){
  d.endpoints=types[2].toObject(m.endpoints,o,q+1)
  if(o.oneofs)
  d.message="endpoints"
  }
  if(m.lease!=null&&Object.hasOwnProperty.call(m,"lease")){
  d.lease=types[3].toObject(m.lease,o,q+1)
  if(o.oneofs)
  d.message="lease"
  }
  if(m.directives!=null&&Object.hasOwnProperty.call(m,"directives")){
  d.directives=types[4].toObject(m.directives,o,q+1)
  if(o.oneofs)
  d.message="directives"
  }
  if(m.drain!=null&&Object.hasOwnProperty.call(m,"drain")){
  d.drain=types[5].toObject(m.drain,o,q+1)
  if(o.oneofs)
  d.message="drain"
  }
  if(m.heartbeat!=null&&Object.hasOwnProperty.call(m,"heartbeat")){
  d.heartbeat=types[6].toObject(m.heartbeat,o,q+1)
  if(o.oneofs)
  d.message="heartbeat"
  }
  if(m.brownout!=null&&Object.hasOwnProperty.call(m,"brownout")){
  d.brownout=types[7].toObject(m.brownout,o,q+1)
  if(o.oneofs)
  d.message="brownout"
  }
  if(m.grants!=null&&Object.hasOwnProperty.call(m,"grants")){
  d.grants=types[8].toObject(m.grants,o,q+1)
  if(o.oneofs)
  d.message="grants"
  }
  if(m.shares!=null&&Object.hasOwnProperty.call(m,"shares")){
  d.shares=types[9].toObject(m.shares,o,q+1)
  if(o.oneofs)
  d.message="shares"
  }
  return d
},
}))([Welcome, Delta, Endpoints, LeaseResult, Directives, Drain, Heartbeat, Brownout, RateGrants, RateShares]);

export const path = '/switchgear.v1.Agents/Session';
export const serialize = (value: object): Buffer => AgentMessage.encode(AgentMessage.fromObject(value)).finish();
export const deserialize = (bytes: Buffer, options: object): object => ControlMessage.toObject(ControlMessage.decode(bytes), options);
