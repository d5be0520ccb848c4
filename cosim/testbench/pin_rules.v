// Rules that the control pins of a head keep towards the analog circuits, watched in mid-cycle
// (docs/schedules.md, Hazards). A bit of `broken` stays set from the first time its rule is broken;
// `pin_rules.py` names them in the order of their bits.

`timescale 1ps / 1ps

module pin_rules #(
    parameter integer CODE_BITS = 0,
    parameter integer SLOT_BITS = 0
) (
    input wire clk,
    input wire rst,
    input wire [CODE_BITS-1:0] code,
    input wire [SLOT_BITS-1:0] slot,
    input wire strobe_k,
    input wire strobe_v,
    input wire reset_k,
    input wire reset_v,
    input wire score,
    input wire activate,
    input wire convert,
    input wire score_bank,
    input wire activate_bank,
    input wire convert_bank,
    output reg [9:0] broken
);
  initial broken = 0;
  `include "pin_rules.vh"  // numbers of cycles, which `pin_rules.py` takes from the specification

  // ---- the cycle before, and for how long each pin has had its level; a gap is taken as long at first
  localparam integer LONG = 10000;
  reg [CODE_BITS+SLOT_BITS-1:0] target = 0;
  reg old_k = 0, old_v = 0, old_reset_k = 0, old_reset_v = 0;
  reg old_score = 0, old_activate = 0, old_convert = 0;
  reg old_score_bank = 0, old_activate_bank = 0, old_convert_bank = 0;
  integer stable = 0;  // cycles since the code or the slot changed
  integer unstrobed = LONG;  // cycles since a strobe ended
  integer strobe_for = 0, reset_k_for = 0, reset_v_for = 0, score_for = 0, activate_for = 0;
  integer convert_for = 0;
  integer settled[0:1];  // cycles since `activate` ended, by capacitor
  // A capacitor holds a charge from the phase that integrates to the end of the one that converts.
  reg [1:0] k_held = 0, v_held = 0;
  wire moved = {code, slot} !== target;
  wire strobe = strobe_k || strobe_v, old_strobe = old_k || old_v;
  initial begin
    settled[0] = LONG;
    settled[1] = LONG;
  end

  always @(negedge clk)
    if (!rst) begin
      stable = moved ? 0 : stable + 1;
      unstrobed = old_strobe ? 1 : unstrobed + 1;
      settled[0] = settled[0] + 1;
      settled[1] = settled[1] + 1;

      if (strobe_k && strobe_v) broken[0] <= 1;
      if (strobe && !old_strobe && stable < DAC_GUARD) broken[1] <= 1;
      if (moved && (strobe && old_strobe || unstrobed <= DAC_GUARD)) broken[1] <= 1;
      if ((old_strobe && !strobe || old_k && strobe_v || old_v && strobe_k)
          && (strobe_for < STROBE_LEAST || strobe_for > STROBE_MOST)) broken[2] <= 1;
      if (strobe_k && score || strobe_v && activate) broken[3] <= 1;
      if (reset_k && (score || k_held[score_bank])) broken[4] <= 1;
      if (reset_v && (activate || v_held[activate_bank])) broken[5] <= 1;
      if (old_reset_k && !reset_k && reset_k_for < RESET) broken[6] <= 1;
      if (old_reset_v && !reset_v && reset_v_for < RESET) broken[6] <= 1;
      if (old_score && !score && (score_for < SCORE_LEAST || score_for > SCORE_MOST))
        broken[7] <= 1;
      if (old_activate && !activate
          && (activate_for < ACTIVATE_LEAST || activate_for > ACTIVATE_MOST)) broken[7] <= 1;
      if (old_convert && !convert && convert_for != COUNT) broken[7] <= 1;
      if (old_score && score && score_bank != old_score_bank) broken[8] <= 1;
      if (old_activate && activate && activate_bank != old_activate_bank) broken[8] <= 1;
      if (old_convert && convert && convert_bank != old_convert_bank) broken[8] <= 1;
      // The counting starts a cycle after `convert`.
      if (convert && !old_convert && (activate && activate_bank == convert_bank
          || settled[convert_bank] < SETTLE)) broken[9] <= 1;

      if (score) k_held[score_bank] <= 1;
      if (old_activate && !activate) k_held[old_activate_bank] <= 0;
      if (activate) v_held[activate_bank] <= 1;
      if (old_convert && !convert) v_held[old_convert_bank] <= 0;
      if (activate) settled[activate_bank] = 0;

      strobe_for = strobe ? (old_strobe ? strobe_for + 1 : 1) : 0;
      reset_k_for = reset_k ? reset_k_for + 1 : 0;
      reset_v_for = reset_v ? reset_v_for + 1 : 0;
      score_for = score ? score_for + 1 : 0;
      activate_for = activate ? activate_for + 1 : 0;
      convert_for = convert ? convert_for + 1 : 0;
      target <= {code, slot};
      {old_k, old_v} <= {strobe_k, strobe_v};
      {old_reset_k, old_reset_v} <= {reset_k, reset_v};
      {old_score, old_activate, old_convert} <= {score, activate, convert};
      {old_score_bank, old_activate_bank, old_convert_bank} <= {
        score_bank, activate_bank, convert_bank
      };
    end
endmodule
