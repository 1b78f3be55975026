;; A fixed piece of work, and nothing but work: eight additions and the like in each turn, of which
;; four at a time wait for nothing. It reads no memory. What it takes is longer only while somebody
;; else has a part of the core.
(module
  (func (export "work") (param $turns i32) (result i64)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64)
    (loop $again
      (local.set $a (i64.add (local.get $a) (i64.const 1)))
      (local.set $b (i64.xor (local.get $b) (i64.const 3)))
      (local.set $c (i64.sub (local.get $c) (i64.const 5)))
      (local.set $d (i64.or (local.get $d) (i64.const 7)))
      (local.set $a (i64.xor (local.get $a) (i64.const 9)))
      (local.set $b (i64.add (local.get $b) (i64.const 11)))
      (local.set $c (i64.xor (local.get $c) (i64.const 13)))
      (local.set $d (i64.add (local.get $d) (i64.const 15)))
      (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
      (br_if $again (local.get $turns)))
    (i64.add (i64.add (local.get $a) (local.get $b)) (i64.add (local.get $c) (local.get $d)))))
