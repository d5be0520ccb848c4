// The analog side of a head's pins: recorders of what the head drives, and sources that replay the
// pulses which the analog model computed. The model acts twice a query: when `score` falls it reads
// `score_report` and writes `phi_*`, when `activate` falls it reads `activate_report` and writes
// `out_*`, for the capacitor that was used. Everything between happens here, in simulated time.
//
// Two kinds of pulse source, by EXACT:
//   0  all lanes in words, on clock edges: a phi pulse lasts its width rounded up to cycles, an
//      output pulse covers as many counting edges as the counting rule gives it;
//   1  each lane on its own, at the exact picosecond (slow; for small geometries).

`timescale 1ps / 1ps

module array_side #(
    parameter integer T_CLK = 0,
    parameter integer DIM = 0,
    parameter integer WINDOW = 0,
    parameter integer OUTPUTS = 0,
    parameter integer SLOT_BITS = 0,
    parameter integer CODE_BITS = 0,
    parameter integer SCORE_CYCLES = 0,
    parameter integer WIDTH_BITS = 0,
    parameter integer EXACT = 0
) (
    input wire clk,
    input wire [CODE_BITS-1:0] write_code,
    input wire [SLOT_BITS-1:0] write_slot,
    input wire strobe_k, strobe_v,
    input wire [DIM-1:0] q_pulse,
    input wire reset_k, reset_v, score, activate, convert,
    input wire score_bank, activate_bank, convert_bank,
    output wire [WINDOW-1:0] phi,
    input wire [WINDOW-1:0] row,
    output wire [OUTPUTS-1:0] out_pulse,
    output wire [OUTPUTS-1:0] out_negative
);
  // ---- pulses of the two capacitors of each column, written from outside as bit planes of widths
  //      in cycles: bit b of lane i is phi_pulses[bank][b * WINDOW + i]; for the outputs a plane of
  //      signs on top
  reg [WIDTH_BITS*WINDOW-1:0] phi_pulses[0:1];
  reg [(WIDTH_BITS+1)*OUTPUTS-1:0] out_pulses[0:1];
  initial begin
    phi_pulses[0] = 0;
    phi_pulses[1] = 0;
    out_pulses[0] = 0;
    out_pulses[1] = 0;
  end
  assign out_negative = out_pulses[convert_bank][WIDTH_BITS*OUTPUTS+:OUTPUTS];

  // ---- recorders, in mid-cycle: what the DACs wrote and how often (modulo 256); the word lines in
  //      each cycle of `score`, the last one in the lowest bits; for how many cycles `activate` was
  //      high; the capacitors that were used, and whether each was discharged since its last use
  reg [CODE_BITS-1:0] k_code = 0, v_code = 0;
  reg [SLOT_BITS-1:0] k_slot = 0, v_slot = 0;
  reg [7:0] k_writes = 0, v_writes = 0;
  reg k_strobed = 0, v_strobed = 0;  // in the cycle before
  always @(negedge clk) begin
    k_strobed <= strobe_k;
    v_strobed <= strobe_v;
    if (strobe_k) begin
      k_code <= write_code;
      k_slot <= write_slot;
      k_writes <= k_writes + !k_strobed;
    end
    if (strobe_v) begin
      v_code <= write_code;
      v_slot <= write_slot;
      v_writes <= v_writes + !v_strobed;
    end
  end

  reg [DIM*SCORE_CYCLES-1:0] q_levels = 0;
  reg [15:0] activate_cycles = 0;
  reg scored = 0, activated = 0;  // in the cycle before
  reg scored_bank = 0, activated_bank = 0;
  reg score_clean = 0, activate_clean = 0;
  reg [1:0] k_empty = 0, v_empty = 0;
  always @(negedge clk) begin
    scored <= score;
    activated <= activate;
    if (reset_k) k_empty[score_bank] <= 1;
    if (reset_v) v_empty[activate_bank] <= 1;
    if (score) begin
      q_levels <= scored ? {q_levels, q_pulse} : q_pulse;
      scored_bank <= score_bank;
      k_empty[score_bank] <= 0;
      if (!scored) score_clean <= k_empty[score_bank];
    end
    if (activate) begin
      activate_cycles <= activated ? activate_cycles + 1 : 1;
      activated_bank <= activate_bank;
      v_empty[activate_bank] <= 0;
      if (!activated) activate_clean <= v_empty[activate_bank];
    end
  end

  // What the gates did to the pulses of one phase: lanes that passed, and lanes that were cut.
  reg [WINDOW-1:0] row_seen = 0, phi_lost = 0;
  always @(negedge clk)
    if (activate) begin
      row_seen <= activated ? row_seen | row : row;
      phi_lost <= activated ? phi_lost | (phi & ~row) : phi & ~row;
    end

  // What Python reads when a phase has ended, in one word each (`reports.py`), because a read costs
  // more than its bits: levels recorded on pins, the latest write, flags, and its number and slot.
  wire [DIM*SCORE_CYCLES+CODE_BITS+SLOT_BITS+9:0] score_report = {
    q_levels, k_code, scored_bank, score_clean, k_writes, k_slot
  };
  wire gate_moved = |(row_seen & phi_lost);
  wire [WINDOW+CODE_BITS+SLOT_BITS+26:0] activate_report = {
    row_seen, v_code, activate_cycles, gate_moved, activated_bank, activate_clean, v_writes, v_slot
  };

  // ---- analog quantities, shown in the waveform: one V cell (V), one K column's integrator
  //      (charge), the activation pulse of one slot
  real v_stored = 0;
  real integrator_charge = 0;
  real phi_width_ps = 0;

  generate
    if (EXACT == 0) begin : replay
      word_pulses #(WINDOW, WIDTH_BITS) phi_source (clk, activate, phi_pulses[activate_bank], phi);
      word_pulses #(OUTPUTS, WIDTH_BITS) out_source (
          clk, convert, out_pulses[convert_bank][WIDTH_BITS*OUTPUTS-1:0], out_pulse);
    end else begin : exact
      genvar i;
      reg [1:0] charged = 0;  // set from outside when the widths of a capacitor are written
      wire start = activate && charged[activate_bank];
      for (i = 0; i < WINDOW; i = i + 1) begin : phi_lane
        integer width_ps[0:1];
        integer row_width_ps = 0;
        integer rise_ps = 0;
        reg pulse = 0;
        always @(posedge start) begin
          row_width_ps = 0;
          if (width_ps[activate_bank] > 0) begin
            pulse = 1;
            pulse <= #(width_ps[activate_bank]) 0;
          end
        end
        assign phi[i] = pulse;
        always @(posedge row[i]) rise_ps = $time;
        always @(negedge row[i]) row_width_ps = $time - rise_ps;
      end
      always @(negedge activate) charged[activated_bank] = 0;
      for (i = 0; i < OUTPUTS; i = i + 1) begin : out_lane
        integer width_ps[0:1];
        reg pulse = 0;
        always @(posedge convert) if (width_ps[convert_bank] > 0) begin
          pulse <= #(T_CLK / 2) 1;
          // Falls after the flip-flops of the same instant have sampled: an edge at the very end
          // of a pulse counts it.
          pulse <= #(T_CLK / 2 + width_ps[convert_bank]) 0;
        end
        assign out_pulse[i] = pulse;
      end
    end
  endgenerate
endmodule

// Pulses of a whole number of cycles on many lanes: they rise together with `run`, and each falls
// when the cycle counter meets its width.
module word_pulses #(
    parameter integer LANES = 0,
    parameter integer BITS = 0
) (
    input wire clk,
    input wire run,
    input wire [BITS*LANES-1:0] cycles,
    output wire [LANES-1:0] pulse
);
  reg [BITS-1:0] step = 0;  // number of this cycle
  reg [BITS-1:0] following;
  reg [LANES-1:0] unfinished = 0;  // from cycle 1 on
  reg [LANES-1:0] any, lasting;
  integer b;
  always @* begin
    any = {LANES{1'b0}};
    for (b = 0; b < BITS; b = b + 1) any = any | cycles[b*LANES+:LANES];
  end
  assign pulse = !run ? {LANES{1'b0}} : step == 0 ? any : unfinished;
  always @(posedge clk)
    if (run) begin
      following = step + 1;
      lasting = {LANES{1'b0}};  // lanes whose width does not end with this cycle
      for (b = 0; b < BITS; b = b + 1)
        lasting = lasting | (following[b] ? ~cycles[b*LANES+:LANES] : cycles[b*LANES+:LANES]);
      unfinished <= pulse & lasting;
      step <= &step ? step : following;
    end else step <= 0;
endmodule
