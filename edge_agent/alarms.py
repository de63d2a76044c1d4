"""The catalogue of alarms: code -> severity, texts in Chinese and English.

One place, so that the page, the wire and the documents say the same thing. A driver may raise any code
named here; a code that is not here is a mistake of the programmer and fails loudly. A station file may add its own.
"""

from dataclasses import dataclass

from edge_agent.records import Severity


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """Severity and the sentence shown; `{}` in a text is never used: details travel as data."""

    severity: Severity
    zh: str
    en: str


LATCHED = frozenset({"smoke", "cabinet_smoke", "sos"})
"""Codes that stay up until somebody has acknowledged or cleared them, unless the station file says otherwise."""
LIFE_SAFETY = frozenset({"smoke", "cabinet_smoke", "sos", "battery_over_temp", "slot_temp_rise"})
"""Codes that cannot be switched off, and that sound the siren where nothing else is named."""


CATALOGUE: dict[str, AlarmKind] = {
    "device_silent": AlarmKind(Severity.MAJOR, "设备无应答", "Device does not answer"),
    "link_lost": AlarmKind(Severity.MAJOR, "通信端口丢失", "Port is lost"),
    "worker_stuck": AlarmKind(Severity.MAJOR, "采集线程停滞", "Acquisition on this link is stuck"),
    "journal_damaged": AlarmKind(
        Severity.MAJOR, "本地存储曾损坏，已修复并声明缺口", "Journal was damaged; salvaged, loss declared"
    ),
    "journal_unwritable": AlarmKind(Severity.CRITICAL, "本地存储无法写入", "Journal cannot be written"),
    "journal_pressure": AlarmKind(
        Severity.WARNING, "本地存储空间只够很短时间", "Room for records would not outlive an outage"
    ),
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
    "cabinet_smoke": AlarmKind(Severity.CRITICAL, "换电柜内烟雾报警", "Smoke in the swap cabinet"),
    "sos": AlarmKind(Severity.CRITICAL, "求助按钮被按下", "SOS button pressed"),
    "water_leak": AlarmKind(Severity.MAJOR, "漏水", "Water leak"),
    "input_storm": AlarmKind(Severity.WARNING, "输入信号抖动异常", "Input changes faster than any contact can"),
    "reader_faulty": AlarmKind(Severity.WARNING, "读卡器数据异常", "Card reader sends damaged frames"),
    "door_held": AlarmKind(Severity.WARNING, "门长时间未关", "Door is held open"),
    "door_forced": AlarmKind(Severity.MAJOR, "门被非正常打开", "Door opened without leave"),
    "sensor_frozen": AlarmKind(Severity.WARNING, "传感器读数长期不变", "Sensor repeats the same value"),
    "ac_commanded_not_running": AlarmKind(
        Severity.WARNING, "空调已下令但未运行", "Air conditioner was told to run and does not"
    ),
    "room_not_following": AlarmKind(
        Severity.WARNING, "空调运行但室温无变化", "Air conditioner runs, the room does not follow"
    ),
    "mains_lost": AlarmKind(Severity.MAJOR, "市电中断", "Mains power is lost"),
    "no_visits_expected_some": AlarmKind(
        Severity.WARNING, "按往常应有人来，但长时间无人进站", "Nobody came when some were expected"
    ),
    "battery_over_temp": AlarmKind(Severity.CRITICAL, "电池温度过高", "Battery over temperature"),
    "cabinet_over_temp": AlarmKind(Severity.MAJOR, "换电柜内温度过高", "Too hot in the swap cabinet"),
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
    "reflex_failed": AlarmKind(Severity.CRITICAL, "警笛等本地联动无法动作", "Siren or other local reflex does not act"),
    "rule_failed": AlarmKind(
        Severity.MAJOR, "判定规则出错，计数不受影响", "A rule of the agent failed; counting goes on"
    ),
    "consumable_low": AlarmKind(Severity.WARNING, "耗材不足，请补充", "A consumable runs low; refill it"),
    "round_overdue": AlarmKind(Severity.WARNING, "保洁或巡检超时未做", "Cleaning or inspection is overdue"),
}
