# U-Boot's part of a start: picks the system's slot, and takes a trial off the card before it begins, so that whatever becomes
# of it, the next start is of the slot before. It is the same on a board and in the emulator, and knows nothing of what a slot
# holds. Numbers are hexadecimal.
#
# The state is one sector, written whole, twice on the card, each copy in an erase block of its own (src/system/boot-state.ts):
# the valid one with the higher count holds, and the other is the one that is written next.

setexpr sector ${kernel_addr_r} + 7e00000
setexpr check ${kernel_addr_r} + 7e10000
setexpr initrd ${kernel_addr_r} + 8000000
setenv newest 0
setenv slot a
setenv try
setenv next 2000
for at in 2000 4000; do
  setenv platen_count
  setenv platen_slot
  setenv platen_try
  if ${devtype} read ${sector} ${at} 1 && env import -c ${sector} 200 platen_count platen_slot platen_try; then
    if itest ${platen_count} -gt ${newest}; then
      setenv newest ${platen_count}
      setenv slot ${platen_slot}
      setenv try ${platen_try}
      if test ${at} = 2000; then setenv next 4000; else setenv next 2000; fi
    fi
  fi
done
if test "${slot}" != b; then setenv slot a; fi

if test "${slot}" = a; then setenv order a b; else setenv order b a; fi
setenv trial
if test "${try}" = a || test "${try}" = b; then
  setexpr platen_count ${newest} + 1
  setenv platen_slot ${slot}
  setenv platen_try
  # Read back: a card that is worn out may only say that it has written.
  if env export -c -s 200 ${sector} platen_count platen_slot && ${devtype} write ${sector} ${next} 1 && ${devtype} read ${check} ${next} 1 && cmp.b ${sector} ${check} 200; then
    setenv trial ${try}
    setenv order ${try} ${slot}
  else
    echo "platen: the card cannot be written to: slot ${try} is not tried"
  fi
fi

# Only in the emulator's tree.
setenv more
fdt addr ${fdtcontroladdr}
fdt get value more /config platen,arguments

for each in ${order}; do
  setenv arguments
  setenv mark
  if test "${each}" = "${trial}"; then setenv mark platen.trial; fi
  if load ${devtype} ${devnum}:${distro_bootpart} ${sector} ${each}/boot.env && env import -t ${sector} ${filesize} arguments; then
    if load ${devtype} ${devnum}:${distro_bootpart} ${kernel_addr_r} ${each}/vmlinuz && load ${devtype} ${devnum}:${distro_bootpart} ${initrd} ${each}/initrd.img; then
      setenv bootargs ${arguments} platen.slot=${each} ${mark} ${more}
      echo "platen: starting slot ${each} ${mark}"
      booti ${kernel_addr_r} ${initrd}:${filesize} ${fdt_addr}
    fi
  fi
  echo "platen: slot ${each} cannot be started"
done
sleep 5
reset
