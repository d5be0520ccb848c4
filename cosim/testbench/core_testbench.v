// Surroundings of an attention core: clock, an AXI4-Lite and two AXI-Stream ports that a bus library
// drives, and the analog side of each head's pins. The macro CORE_PINS stands for the pins of all
// heads (`core.py`).

`timescale 1ps / 1ps

module testbench #(
    parameter integer T_CLK = 0,
    parameter integer HEADS = 0,
    parameter integer ADDR_BITS = 0,
    parameter integer DIM = 0,
    parameter integer WINDOW = 0,
    parameter integer OUTPUTS = 0,
    parameter integer TOKEN_BITS = 0,
    parameter integer RESULT_BITS = 0,
    parameter integer SLOT_BITS = 0,
    parameter integer CODE_BITS = 0,
    parameter integer SCORE_CYCLES = 0,
    parameter integer WIDTH_BITS = 0
);
  localparam integer TOKEN_WIDTH = (TOKEN_BITS + 7) / 8 * 8;
  localparam integer RESULT_WIDTH = (RESULT_BITS + 7) / 8 * 8;

  reg clk = 0;
  reg rst = 1;
  always #(T_CLK / 2) clk = ~clk;

  // ---- registers
  reg [ADDR_BITS-1:0] s_axi_awaddr = 0, s_axi_araddr = 0;
  reg [2:0] s_axi_awprot = 0, s_axi_arprot = 0;
  reg s_axi_awvalid = 0, s_axi_wvalid = 0, s_axi_bready = 0, s_axi_arvalid = 0, s_axi_rready = 0;
  reg [31:0] s_axi_wdata = 0;
  reg [3:0] s_axi_wstrb = 0;
  wire s_axi_awready, s_axi_wready, s_axi_bvalid, s_axi_arready, s_axi_rvalid;
  wire [1:0] s_axi_bresp, s_axi_rresp;
  wire [31:0] s_axi_rdata;

  // ---- tokens and results, a beat for each head
  reg [TOKEN_WIDTH-1:0] s_axis_tdata = 0;
  reg s_axis_tvalid = 0, m_axis_tready = 0;
  wire s_axis_tready, m_axis_tvalid, error;
  wire [RESULT_BITS-1:0] result;
  wire [RESULT_WIDTH-1:0] m_axis_tdata = result;

  // ---- pins
  wire reset_k, reset_v, score, activate, convert, score_bank, activate_bank, convert_bank;
  wire [CODE_BITS-1:0] write_code[0:HEADS-1];
  wire [SLOT_BITS-1:0] write_slot[0:HEADS-1];
  wire [HEADS-1:0] strobe_k, strobe_v;
  wire [DIM-1:0] q_pulse[0:HEADS-1];
  wire [WINDOW-1:0] phi[0:HEADS-1], row[0:HEADS-1];
  wire [OUTPUTS-1:0] out_pulse[0:HEADS-1], out_negative[0:HEADS-1];

  // Faults of a converter, set from outside: its pulse stays high, its sign turns.
  reg [HEADS-1:0] phi_stuck = 0, out_stuck = 0, sign_turned = 0;

  attention_core core (
      .clk(clk),
      .rst(rst),
      .bus__awaddr(s_axi_awaddr),
      .bus__awprot(s_axi_awprot),
      .bus__awvalid(s_axi_awvalid),
      .bus__awready(s_axi_awready),
      .bus__wdata(s_axi_wdata),
      .bus__wstrb(s_axi_wstrb),
      .bus__wvalid(s_axi_wvalid),
      .bus__wready(s_axi_wready),
      .bus__bresp(s_axi_bresp),
      .bus__bvalid(s_axi_bvalid),
      .bus__bready(s_axi_bready),
      .bus__araddr(s_axi_araddr),
      .bus__arprot(s_axi_arprot),
      .bus__arvalid(s_axi_arvalid),
      .bus__arready(s_axi_arready),
      .bus__rdata(s_axi_rdata),
      .bus__rresp(s_axi_rresp),
      .bus__rvalid(s_axi_rvalid),
      .bus__rready(s_axi_rready),
      .token__payload(s_axis_tdata[TOKEN_BITS-1:0]),
      .token__valid(s_axis_tvalid),
      .token__ready(s_axis_tready),
      .result__payload(result),
      .result__valid(m_axis_tvalid),
      .result__ready(m_axis_tready),
      `CORE_PINS
      .control__reset_k(reset_k),
      .control__reset_v(reset_v),
      .control__score(score),
      .control__activate(activate),
      .control__convert(convert),
      .control__score_bank(score_bank),
      .control__activate_bank(activate_bank),
      .control__convert_bank(convert_bank),
      .error(error)
  );

  genvar h;
  generate
    for (h = 0; h < HEADS; h = h + 1) begin : head
      array_side #(
          .T_CLK(T_CLK),
          .DIM(DIM),
          .WINDOW(WINDOW),
          .OUTPUTS(OUTPUTS),
          .SLOT_BITS(SLOT_BITS),
          .CODE_BITS(CODE_BITS),
          .SCORE_CYCLES(SCORE_CYCLES),
          .WIDTH_BITS(WIDTH_BITS)
      ) arrays (
          .clk(clk),
          .write_code(write_code[h]),
          .write_slot(write_slot[h]),
          .strobe_k(strobe_k[h]),
          .strobe_v(strobe_v[h]),
          .q_pulse(q_pulse[h]),
          .reset_k(reset_k),
          .reset_v(reset_v),
          .score(score),
          .activate(activate),
          .convert(convert),
          .score_bank(score_bank),
          .activate_bank(activate_bank),
          .convert_bank(convert_bank),
          .phi(phi[h]),
          .row(row[h]),
          .out_pulse(out_pulse[h]),
          .out_negative(out_negative[h])
      );
    end
  endgenerate
endmodule
