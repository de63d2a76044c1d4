"""What to do about each built-in alarm, for whoever stands in front of the station: shown on its page."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence in both languages."""

    zh: str
    en: str


ADVICE: dict[str, Advice] = {
    "device_silent": Advice(
        "检查设备供电、接线和地址；同一总线的其他设备若正常，问题在该设备",
        "Check its power, wiring and address; if others on the same wire answer, it is this device",
    ),
    "link_lost": Advice(
        "检查 USB 转换器是否插好，重新插拔",
        "See that the USB adapter is plugged in; plug it in again",
    ),
    "worker_stuck": Advice(
        "代理会自行重启该线程；反复出现时重启服务并上报日志",
        "The agent restarts it by itself; if it comes back, restart the service and report the log",
    ),
    "journal_damaged": Advice(
        "尽快更换存储卡",
        "Replace the storage card soon",
    ),
    "journal_unwritable": Advice(
        "立即更换存储卡或磁盘：此时断电会丢失记录",
        "Replace the card or disk at once: records are lost if the power fails now",
    ),
    "journal_pressure": Advice(
        "增大 [journal] max_size，或减少上报频率",
        "Raise [journal] max_size, or tell values less often",
    ),
    "flash_budget": Advice(
        "查找变化过于频繁的设备，放宽其采集周期",
        "Find the device that changes too often and ask it less often",
    ),
    "identity_conflict": Advice(
        "找出使用同一站点编号的另一台机器",
        "Find the other machine with the same station id",
    ),
    "publish_refused": Advice(
        "检查消息服务器上本站的权限",
        "Check this station's rights at the broker",
    ),
    "plaintext_uplink": Advice(
        "改用 mqtts://",
        "Use mqtts://",
    ),
    "smoke": Advice(
        "立即联系现场并报火警；确认无险后再确认告警",
        "Call the site and the fire brigade at once; acknowledge once there is no danger",
    ),
    "cabinet_smoke": Advice(
        "立即报火警并疏散，切断柜电源；勿开柜门",
        "Call the fire brigade, clear the site, cut the cabinet's power; open no door",
    ),
    "sos": Advice(
        "立即联系现场的人",
        "Get in touch with whoever is there at once",
    ),
    "water_leak": Advice(
        "关闭水阀，派人查看",
        "Shut the water off and send somebody",
    ),
    "input_storm": Advice(
        "检查该触点的接线和屏蔽",
        "Check the contact's wiring and shield",
    ),
    "reader_faulty": Advice(
        "检查读卡器接线、供电和波特率",
        "Check the reader's wiring, supply and baud rate",
    ),
    "door_held": Advice(
        "派人关门；检查闭门器",
        "Have it closed; check the door closer",
    ),
    "door_forced": Advice(
        "查看现场；检查门锁和门磁",
        "Look at the site; check lock and door contact",
    ),
    "sensor_frozen": Advice(
        "重启或更换传感器",
        "Restart or replace the sensor",
    ),
    "ac_commanded_not_running": Advice(
        "检查空调电源、红外对准和互感器",
        "Check its power, the infrared aim and the current transformer",
    ),
    "room_not_following": Advice(
        "关门窗；清洗滤网；检查制冷剂",
        "Close doors and windows; clean the filter; check the refrigerant",
    ),
    "mains_lost": Advice(
        "检查配电箱和供电部门通知；备用电源时间有限",
        "Check the distribution box and ask the supplier; the back-up does not last",
    ),
    "no_visits_expected_some": Advice(
        "检查门、读卡器、照明和地图上的开放状态",
        "Check door, reader, lights, and whether maps show the station open",
    ),
    "battery_over_temp": Advice(
        "立即停止充电并隔离该电池；准备灭火",
        "Stop charging and isolate the battery at once; be ready to fight a fire",
    ),
    "cabinet_over_temp": Advice(
        "检查风扇和通风；必要时停止充电",
        "Check fans and air flow; stop charging if need be",
    ),
    "battery_protection": Advice(
        "取出该电池检修",
        "Take the battery out for service",
    ),
    "lock_fault": Advice(
        "检查锁舌和锁板接线",
        "Check bolt and wiring of the lock board",
    ),
    "sn_mismatch": Advice(
        "检查该仓门磁和电池",
        "Check the slot's contact and its battery",
    ),
    "slot_unreadable": Advice(
        "重新插入电池；检查触点",
        "Put the battery in again; check its contacts",
    ),
    "device_fault": Advice(
        "按设备说明书处理其故障码",
        "See the device's manual for its fault code",
    ),
    "undervoltage": Advice(
        "更换电源适配器或电源线",
        "Replace the power supply or its cable",
    ),
    "clock_bad": Advice(
        "检查网络和时间服务器",
        "Check the network and the time server",
    ),
    "reflex_failed": Advice(
        "检查警笛继电器的供电和接线",
        "Check power and wiring of the siren's relay",
    ),
    "rule_failed": Advice(
        "重启服务；把运行日志发给维护方",
        "Restart the service; send its log to whoever maintains it",
    ),
    "consumable_low": Advice(
        "补充后在页面或中心登记",
        "Refill it and put that on record",
    ),
    "round_overdue": Advice(
        "完成后在页面或中心登记",
        "Do it and put that on record",
    ),
    "no_charged_batteries": Advice(
        "检查充电和柜内供电；通知换电公司补充电池",
        "Check charging and the cabinet's supply; ask the operator for batteries",
    ),
    "count_mismatch": Advice(
        "检查门磁、读卡器和控制器是否都在工作",
        "See that door contact, reader and controller all work",
    ),
    "slot_temp_rise": Advice(
        "立即报火警并疏散，切断柜电源；勿开仓门",
        "Call the fire brigade, clear the site, cut the cabinet's power; open no door",
    ),
}
