"""The catalogue of alarms: code -> severity and texts in Chinese and English.

One place, so that the page, the wire and the documents say the same thing. A driver may raise any code named here; a
code that is not here is a mistake of the programmer and fails loudly.
"""

from dataclasses import dataclass

from edge_agent.records import Severity


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """Severity and the sentence shown; `{}` in a text is never used: details travel as data."""

    severity: Severity
    zh: str
    en: str


CATALOGUE: dict[str, AlarmKind] = {
    "device_silent": AlarmKind(Severity.MAJOR, "设备无应答", "Device does not answer"),
    "link_lost": AlarmKind(Severity.MAJOR, "通信端口丢失", "Port is lost"),
    "worker_stuck": AlarmKind(Severity.MAJOR, "采集线程停滞", "Acquisition on this link is stuck"),
    "journal_damaged": AlarmKind(
        Severity.MAJOR, "本地存储曾损坏，已修复并声明缺口", "Journal was damaged; salvaged, loss declared"
    ),
    "journal_unwritable": AlarmKind(Severity.CRITICAL, "本地存储无法写入", "Journal cannot be written"),
    "flash_budget": AlarmKind(
        Severity.WARNING, "存储卡每日写入量超过预算", "More is written to the card in a day than planned"
    ),
    "identity_conflict": AlarmKind(
        Severity.MAJOR, "另有设备使用本站身份连接", "Another client uses this station's identity"
    ),
    "publish_refused": AlarmKind(
        Severity.MAJOR, "云端拒收部分数据，数据已保留", "Broker refuses messages; they are kept"
    ),
    "plaintext_uplink": AlarmKind(Severity.WARNING, "到云端的连接未加密", "Connection to the broker is not encrypted"),
    "smoke": AlarmKind(Severity.CRITICAL, "烟雾报警", "Smoke detected"),
    "sos": AlarmKind(Severity.CRITICAL, "求助按钮被按下", "SOS button pressed"),
    "water_leak": AlarmKind(Severity.MAJOR, "漏水", "Water leak"),
    "input_storm": AlarmKind(Severity.WARNING, "输入信号抖动异常", "Input changes faster than any contact can"),
    "reader_faulty": AlarmKind(Severity.WARNING, "读卡器数据异常", "Card reader sends damaged frames"),
    "battery_over_temp": AlarmKind(Severity.CRITICAL, "电池温度过高", "Battery over temperature"),
    "battery_protection": AlarmKind(Severity.MAJOR, "电池保护动作", "Battery protection is active"),
    "slot_temp_rise": AlarmKind(Severity.CRITICAL, "仓内温度上升过快", "Temperature in the slot rises too fast"),
    "lock_fault": AlarmKind(Severity.WARNING, "柜门锁故障", "Lock fault"),
    "count_mismatch": AlarmKind(
        Severity.WARNING, "刷卡次数与开门或控制器记录不符", "Counts disagree with the door or the controller"
    ),
    "no_charged_batteries": AlarmKind(Severity.WARNING, "换电柜无满电电池", "No charged battery in the cabinet"),
    "sn_mismatch": AlarmKind(Severity.WARNING, "柜门未开而电池编号改变", "Battery changed behind a closed door"),
    "slot_unreadable": AlarmKind(Severity.WARNING, "仓内电池无法读取", "Battery in the slot cannot be read"),
    "device_fault": AlarmKind(Severity.MAJOR, "设备自报故障", "Device reports a fault"),
    "undervoltage": AlarmKind(Severity.MAJOR, "供电电压过低", "Supply voltage is too low"),
    "clock_bad": AlarmKind(Severity.WARNING, "系统时钟未同步", "Clock is not synchronised"),
    "consumable_low": AlarmKind(Severity.WARNING, "耗材不足，请补充", "A consumable runs low; refill it"),
    "round_overdue": AlarmKind(Severity.WARNING, "保洁或巡检超时未做", "Cleaning or inspection is overdue"),
}
